"""What an explanation costs in a large library: `python -m benchmarks.provenance`, or with numbers of plates and rows.

Made ledgers of 435 plates and 20 instruments, most of them with 100 rows on each plate; two classify into 1000 labels.
"""

import hashlib
import itertools
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.instruments.registry import read_registry
from atlas_resources.ledgers.lineage.build import build_lineage
from atlas_resources.ledgers.parquet import write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import HISTOGRAMS, LEDGERS, PLATES, RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import Table

AT = datetime(2026, 1, 1, tzinfo=UTC)
ROLES = (
    *["embedding"] * 9,
    *["segmentation"] * 3,
    *["probe"] * 2,
    *["detection"] * 2,
    *["pruning"] * 2,
    *["palette", "outline"],
)
"""The role of each of 20 instruments. Those of the last three roles read the first segmenter's results."""
LABELS = 1000


def _sha256(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def _run(plate_id: str, number: int, role: str) -> dict[str, Any]:
    """A row of `runs`: instrument `number` on a plate."""
    fingerprint = _sha256("instrument", number)
    run_id = f"run-20260101-0000{number:02d}Z-{fingerprint[:8]}"
    table = INSTRUMENT_TABLES[role]
    inputs = [{"path": "source/scan.png", "sha256": _sha256("source", plate_id)}]
    if role in {"pruning", "palette", "outline"}:
        first = ROLES.index("segmentation")
        of = f"run-20260101-0000{first:02d}Z-{_sha256('instrument', first)[:8]}"
        inputs.append({"path": f"runs/{of}/segments.parquet", "sha256": _sha256(plate_id, of, "segments.parquet")})
    names = (table.plate_file, "preview.jpg", "metrics.json")
    outputs = [{"path": f"runs/{run_id}/{name}", "sha256": _sha256(plate_id, run_id, name)} for name in names]
    return {
        **{"run_id": run_id, "plate_id": plate_id, "instrument": f"{role}_{number:02d}", "role": role},
        **{"model_id": f"made/{number}", "model_sha": "1" * 40, "weights_sha256": _sha256("weights", number // 2)},
        **{"preprocess_tag": "made", "fingerprint": fingerprint, "source_sha256": _sha256("source", plate_id)},
        **{"licence": "MIT", "commercial_use": "yes", "status": "complete", "device": "cpu", "packages": "{}"},
        **{"code_git_sha": "2" * 40, "sealed_at": AT, "inputs": inputs, "outputs": outputs, "is_current": True},
    }


def _results(table: Table, runs: Sequence[dict[str, Any]], rows_count: int) -> pl.DataFrame:
    """Rows of a table: as many for each run as are asked for, each with an id of its own."""
    count = {"embeddings": 1, "probes": LABELS}.get(table.name, rows_count)
    known = [column for column in table.schema.names() if column in runs[0]] if runs else []
    rows = pl.DataFrame(
        [{name: run[name] for name in known} for run in runs], schema={n: table.schema[n] for n in known}
    )
    index = pl.DataFrame({"index": np.arange(count, dtype=np.int32)})
    rows = rows.join(index, how="cross")
    ids = pl.format("row-{}", pl.col("index"))
    own = {
        "segment_id": ids,
        "detection_id": ids,
        "label_id": ids,
        "label_index": pl.col("index"),
        "scope": pl.lit("plate"),
    }
    rows = rows.with_columns(**{name: value for name, value in own.items() if name in table.schema})
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in table.schema.items() if name not in rows.columns]
    return rows.with_columns(absent)


def make_catalogue(folder: Path, plates_count: int, rows_count: int) -> Path:
    """Writes the ledgers of a made library and builds its catalogue; prints how large they are, and what they took."""
    dataset = Dataset(folder)
    dataset.ensure()
    plate_ids = [f"plate-{number:04d}" for number in range(1, plates_count + 1)]
    runs = [_run(plate_id, number, role) for plate_id in plate_ids for number, role in enumerate(ROLES)]
    sources = {plate_id: _sha256("source", plate_id) for plate_id in plate_ids}
    facts = {"measure_version": "made", "is_current": True, "source_image": "scan.png"}
    for table, rows in (
        (RUNS, runs),
        (
            PLATES,
            [
                {**facts, "plate_id": one, "source_sha256": digest, "measured_source_sha256": digest}
                | {"input_image_sha256": _sha256(one, "facts")}
                for one, digest in sources.items()
            ],
        ),
        (
            HISTOGRAMS,
            [
                {**facts, "plate_id": one, "source_sha256": digest, "file_sha256": _sha256(one, "counts")}
                for one, digest in sources.items()
            ],
        ),
    ):
        write_ledger(dataset, table, table.frame(rows))
    for role, table in INSTRUMENT_TABLES.items():
        write_ledger(dataset, table, _results(table, [run for run in runs if run["role"] == role], rows_count))
    started = time.process_time()
    lineage = build_lineage(dataset).collect()
    print(f"{len(runs)} runs, {lineage.height} edges, built in {time.process_time() - started:.2f} s")
    for table in LEDGERS.values():
        if not (dataset.ledger_dir / f"{table.name}.parquet").is_file():
            write_ledger(dataset, table, table.frame([]))
    return build_catalogue(dataset, read_registry())


def questions() -> Iterator[tuple[str, str]]:
    """A name and a query for each question that is timed."""
    first, weights = "plate-0001", _sha256("weights", 2)
    yield "why, a vector", f"FROM why('{first}', 'embedding_00')"
    yield "why, one label of 1000", f"FROM why('{first}', 'probe_12', row_key := 'row-17')"
    yield "why, the groundwork", f"FROM why('{first}', 'groundwork')"
    yield "affected_by, weights of two instruments", f"FROM affected_by('{weights}')"
    yield "affected_by, a source", f"FROM affected_by('{_sha256('source', first)[:12]}')"
    yield "affected_by, a commit: everything", f"FROM affected_by('{'2' * 40}')"
    yield "lineage_of, an instrument", "FROM lineage_of('palette_18')"
    yield "lineage_of, a plate", f"FROM lineage_of('{first}')"


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def time_questions(path: Path, rounds: int = 5) -> None:
    """Prints the median wall and processor seconds of each question, and how many rows answer it."""
    with duckdb.connect(str(path), read_only=True) as connection:
        for name, query in questions():
            walls, used, rows = [], [], []
            for _ in range(rounds):
                wall, before = time.perf_counter(), _processor_seconds()
                rows = connection.execute(query).fetchall()
                walls.append(time.perf_counter() - wall)
                used.append(_processor_seconds() - before)
            print(f"{name:42} {np.median(walls):6.3f} s {np.median(used):6.3f} s of processor {len(rows):6} rows")


def main() -> None:
    """Makes the library and asks."""
    plates_count, rows_count = [int(one) for one in itertools.islice([*sys.argv[1:], "435", "100"], 2)]
    with tempfile.TemporaryDirectory() as folder:
        time_questions(make_catalogue(Path(folder), plates_count, rows_count))


if __name__ == "__main__":
    main()
