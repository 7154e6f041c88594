"""Ledgers: Parquet tables derived from plate-local truth.

They grow by what is new, and a rebuild from nothing gives the same rows.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from atlas_resources.contracts import ColorHistograms, InputImage, RunManifest
from atlas_resources.dataset import Dataset
from atlas_resources.digests import sha256_of
from atlas_resources.durable_files import sweep_leftovers, write_bytes_atomically
from atlas_resources.fingerprints import preprocess_tag
from atlas_resources.ledger_tables import HISTOGRAMS, LEDGERS, LINEAGE, MODELS, PLATES, RUNS
from atlas_resources.pins import model_sha, weights_sha256
from atlas_resources.registry import Registry, loader_version
from atlas_resources.result_tables import FILE_OF_ROLE, INSTRUMENT_TABLES
from atlas_resources.runs import MANIFEST_NAME, parquet_bytes
from atlas_resources.specs import VectorOutput
from atlas_resources.tables import IS_CURRENT, Table

RunKey = tuple[str, str]  # (run_id, plate_id)


def ledger_path(dataset: Dataset, table: Table) -> Path:
    """Where a ledger lies."""
    return dataset.ledger_dir / f"{table.name}.parquet"


def _has_present_columns(dataset: Dataset, table: Table) -> bool:
    path = ledger_path(dataset, table)
    return path.is_file() and pl.read_parquet_schema(path) == dict(table.schema)


def read_ledger(dataset: Dataset, table: Table) -> pl.DataFrame:
    """A ledger's rows; none if it has not been built. One with other columns than today's is as good as none."""
    if _has_present_columns(dataset, table):
        return pl.read_parquet(ledger_path(dataset, table))
    return table.schema.to_frame()


def _write_ledger(dataset: Dataset, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    conformed = table.conform(rows)
    sweep_leftovers(dataset.ledger_dir)
    write_bytes_atomically(ledger_path(dataset, table), parquet_bytes(conformed))
    return conformed


def _read_sealed_files(paths: list[Path], table: Table) -> pl.DataFrame:
    """The rows of sealed Parquet files, without `is_current`. A column that is younger than a file is null in it."""
    schema = pl.Schema({name: dtype for name, dtype in table.schema.items() if name != IS_CURRENT.name})
    return pl.read_parquet(paths, schema=schema, missing_columns="insert") if paths else schema.to_frame()


def sealed_runs(dataset: Dataset) -> set[RunKey]:
    """Every sealed run folder on disk, by listing alone."""
    found = set()
    for plate_id in dataset.plate_ids():
        runs = dataset.runs_dir(plate_id)
        if runs.is_dir():
            found |= {(name, plate_id) for name in os.listdir(runs) if name.startswith("run-")}
    return found


def _known(rows: pl.DataFrame) -> set[RunKey]:
    return set(rows.select("run_id", "plate_id").unique().iter_rows())


def _kept(rows: pl.DataFrame, on_disk: set[RunKey]) -> pl.DataFrame:
    """Rows whose sealed run still lies on disk."""
    keys = pl.DataFrame(list(on_disk), schema={"run_id": pl.String, "plate_id": pl.String}, orient="row")
    return rows.join(keys, on=["run_id", "plate_id"], how="semi")


def _manifests(dataset: Dataset, keys: Iterable[RunKey]) -> Iterator[RunManifest]:
    for run_id, plate_id in sorted(keys):
        yield dataset.read_json(dataset.runs_dir(plate_id) / run_id / MANIFEST_NAME, RunManifest)


def _run_row(manifest: RunManifest) -> dict:
    instrument = manifest.instrument
    error = manifest.error
    return {
        "run_id": manifest.run_id,
        "plate_id": manifest.plate_id,
        "instrument": instrument.key,
        "role": instrument.role,
        **instrument.model_dump(
            include={
                "model_id",
                "model_sha",
                "weights_sha256",
                "preprocess_tag",
                "fingerprint",
                "licence",
                "commercial_use",
            }
        ),
        "source_sha256": manifest.source_sha256,
        "status": manifest.status,
        "error_type": error.type if error else None,
        "error_message": error.message if error else None,
        "error_stage": error.stage if error else None,
        "started_at": manifest.started_at,
        "sealed_at": manifest.sealed_at,
        "device": manifest.environment.device,
        "dtype": manifest.environment.dtype,
        "packages": json.dumps(manifest.environment.packages, sort_keys=True),
        "code_git_sha": manifest.code.git_sha,
        "code_is_dirty": manifest.code.is_dirty,
        "dagster_run_id": manifest.dagster_run_id,
    }


def _current_runs(dataset: Dataset, registry: Registry, runs: pl.DataFrame) -> pl.DataFrame:
    """run_id and plate_id of the newest complete run per plate and instrument, of present fingerprints and sources."""
    present = pl.DataFrame(
        [(identity.key, identity.fingerprint) for identity in registry.identities.values()],
        schema={"instrument": pl.String, "fingerprint": pl.String},
        orient="row",
    )
    sources = pl.DataFrame(
        [(plate_id, dataset.source_sha256(plate_id)) for plate_id in dataset.plate_ids()],
        schema={"plate_id": pl.String, "source_sha256": pl.String},
        orient="row",
    )
    return (
        runs.filter(pl.col("status") == "complete")
        .join(present, on=["instrument", "fingerprint"], how="semi")
        .join(sources, on=["plate_id", "source_sha256"], how="semi")
        .group_by("instrument", "plate_id")
        .agg(pl.col("run_id").max())
        .select("run_id", "plate_id")
    )


def _mark_current(rows: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    marks = current.with_columns(pl.lit(True).alias(IS_CURRENT.name))
    return (
        rows.drop(IS_CURRENT.name, strict=False)
        .join(marks, on=["run_id", "plate_id"], how="left")
        .with_columns(pl.col(IS_CURRENT.name).fill_null(False))
    )


def build_runs(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`ledger/runs`: reads the manifests of runs it does not hold yet."""
    on_disk = sealed_runs(dataset)
    old = _kept(read_ledger(dataset, RUNS), on_disk)
    schema = {name: dtype for name, dtype in RUNS.schema.items() if name != IS_CURRENT.name}
    new = pl.DataFrame([_run_row(manifest) for manifest in _manifests(dataset, on_disk - _known(old))], schema=schema)
    rows = pl.concat([old.drop(IS_CURRENT.name), new])
    return _write_ledger(dataset, RUNS, _mark_current(rows, _current_runs(dataset, registry, rows)))


def build_instrument_table(dataset: Dataset, role: str) -> pl.DataFrame:
    """`ledger/embeddings`, `segments` or `probes`: reads the sealed files it does not hold yet.

    Wants `ledger/runs` first.
    """
    table = INSTRUMENT_TABLES[role]
    runs = read_ledger(dataset, RUNS)
    complete = set(
        runs.filter(pl.col("status") == "complete", pl.col("role") == role).select("run_id", "plate_id").iter_rows()
    )
    old = _kept(read_ledger(dataset, table), complete)
    paths = [
        dataset.runs_dir(plate_id) / run_id / FILE_OF_ROLE[role] for run_id, plate_id in sorted(complete - _known(old))
    ]
    rows = pl.concat([old.drop(IS_CURRENT.name), _read_sealed_files(paths, table)])
    current = runs.filter(pl.col(IS_CURRENT.name)).select("run_id", "plate_id")
    return _write_ledger(dataset, table, _mark_current(rows, current))


def build_plates(dataset: Dataset) -> pl.DataFrame:
    """`ledger/plates`: manifest and scalar facts of every registered plate."""
    rows = []
    for plate_id in dataset.plate_ids():
        row = {"source_sha256": dataset.source_sha256(plate_id), **dataset.manifest(plate_id).model_dump()}
        path = dataset.derived_path(plate_id, "input_image.json")
        if path.is_file():
            row["input_image_sha256"] = sha256_of(path)  # before it is read: what is written meanwhile is told by it
            facts = dataset.read_json(path, InputImage)
            row |= {**facts.model_dump(exclude={"colour_policy"}), "colour_policy": facts.colour_policy.name}
        rows.append({name: row.get(name) for name in PLATES.schema})
    return _write_ledger(dataset, PLATES, pl.DataFrame(rows, schema=PLATES.schema))


def _histogram_row(histograms: ColorHistograms) -> dict:
    row = histograms.model_dump()
    return row | {
        "lab": row["lab"]["counts"],
        "lab_bins": row["lab"]["bins"],
        "paper_threshold": row["paper"]["threshold"],
        "paper_ratio": row["paper"]["paper_ratio"],
        "paper_lab": row["paper"]["paper_lab"],
        "foreground_lab": row["paper"]["foreground_lab"],
    }


def build_histograms(dataset: Dataset) -> pl.DataFrame:
    """`ledger/histograms`: exact counts of every plate whose groundwork is done."""
    rows = []
    for plate_id in dataset.plate_ids():
        path = dataset.derived_path(plate_id, "input_color_histograms.json")
        if path.is_file():
            digest = sha256_of(path)  # before it is read, as with the plates
            rows.append({**_histogram_row(dataset.read_json(path, ColorHistograms)), "file_sha256": digest})
    frame = pl.DataFrame([{name: row[name] for name in HISTOGRAMS.schema} for row in rows], schema=HISTOGRAMS.schema)
    return _write_ledger(dataset, HISTOGRAMS, frame)


def build_lineage(dataset: Dataset) -> pl.DataFrame:
    """`ledger/lineage`: what each sealed output was made from."""
    on_disk = sealed_runs(dataset)
    old = _kept(read_ledger(dataset, LINEAGE), on_disk)
    rows = [
        {
            "plate_id": manifest.plate_id,
            "run_id": manifest.run_id,
            "instrument": manifest.instrument.key,
            "output_path": output.path,
            "output_sha256": output.sha256,
            "input_path": source.path,
            "input_sha256": source.sha256,
            "weights_sha256": manifest.instrument.weights_sha256,
            "fingerprint": manifest.instrument.fingerprint,
            "code_git_sha": manifest.code.git_sha,
            "dagster_run_id": manifest.dagster_run_id,
        }
        for manifest in _manifests(dataset, on_disk - _known(old))
        for output in manifest.outputs
        for source in manifest.inputs
    ]
    return _write_ledger(dataset, LINEAGE, pl.concat([old, pl.DataFrame(rows, schema=LINEAGE.schema)]))


def build_models(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`ledger/models`: every spec, admitted, idea, refused or broken."""
    rows = []
    for spec in registry.specs.values():
        steps, status = spec.preprocessing or spec.own_preprocessing, registry.status(spec.key)
        identity = registry.identities.get(spec.key)
        rows.append(
            {
                "instrument": spec.key,
                "role": spec.role,
                "status": status.name,
                "missing": list(status.reasons),
                "title": spec.title,
                "model_id": spec.model_id,
                "model_sha": model_sha(spec),
                "weights_sha256": weights_sha256(spec),
                "licence": identity.licence if identity else spec.licence and spec.licence.spdx,
                "commercial_use": identity.commercial_use if identity else spec.licence and spec.licence.commercial_use,
                "output_kind": spec.output and spec.output.kind,
                "vector_dim": spec.output.dim if isinstance(spec.output, VectorOutput) else None,
                "preprocess_tag": preprocess_tag(spec),
                "preprocessing": steps and steps.model_dump_json(),
                "parameters": json.dumps(spec.parameters),
                "device": spec.numeric and spec.numeric.device,
                "dtype": spec.numeric and spec.numeric.dtype,
                "loader": spec.loader and f"{spec.loader} {loader_version(spec)}",
                "upstream": spec.upstream,
                "fingerprint": identity.fingerprint if identity else None,
                "failure_modes": [f"{mode.fact} ({mode.source})" for mode in spec.failure_modes],
                "sources": spec.sources,
            }
        )
    broken = {problem.file.removesuffix(".yaml") for problem in registry.problems}
    for stem in sorted(broken):
        missing = [str(problem) for problem in registry.problems if problem.file.removesuffix(".yaml") == stem]
        rows.append(dict.fromkeys(MODELS.schema) | {"instrument": stem, "status": "broken", "missing": missing})
    return _write_ledger(dataset, MODELS, pl.DataFrame(rows, schema=MODELS.schema))


def why_behind(dataset: Dataset, registry: Registry) -> str:
    """Why the ledgers are not what plate-local truth would give now; empty if they are.

    Lists run folders, hashes the groundwork's files, and reads a few columns of the ledgers: by content, not by time,
    so that nothing written while a refresh reads is missed.
    """
    return next(_reasons_behind(dataset, registry), "")


def _reasons_behind(dataset: Dataset, registry: Registry) -> Iterator[str]:
    built = [ledger_path(dataset, table) for table in LEDGERS.values()] + [dataset.catalogue_path]
    missing = [path.name for path in built if not path.is_file()]
    if missing:
        yield f"not built yet: {', '.join(missing)}"
        return
    if outdated := [name for name, table in LEDGERS.items() if not _has_present_columns(dataset, table)]:
        yield f"made by an earlier version, with other columns: {', '.join(outdated)}"
    changed = sealed_runs(dataset) ^ _known(read_ledger(dataset, RUNS))
    if changed:
        yield f"{len(changed)} sealed runs came or went; the newest is {max(changed)[0]}"
    plate_ids = dataset.plate_ids()
    if set(read_ledger(dataset, PLATES)["plate_id"]) != set(plate_ids):
        yield f"plates came or went; there are {len(plate_ids)}"
    yield from _changed_groundwork(dataset, plate_ids)
    present = {identity.fingerprint for identity in registry.identities.values()}
    if set(read_ledger(dataset, MODELS)["fingerprint"].drop_nulls()) != present:
        yield f"instruments changed: {', '.join(sorted(fingerprint[:8] for fingerprint in present))}"


def _changed_groundwork(dataset: Dataset, plate_ids: list[str]) -> Iterator[str]:
    for table, column, name in (
        (PLATES, "input_image_sha256", "input_image.json"),
        (HISTOGRAMS, "file_sha256", "input_color_histograms.json"),
    ):
        held = read_ledger(dataset, table).select("plate_id", column).drop_nulls().rows()
        differing = set(held) ^ _present_digests(dataset, plate_ids, name)
        if differing:
            # The reason is part of a run key: as it changes, so is the refresh asked for again.
            which = hashlib.sha256(repr(sorted(differing)).encode()).hexdigest()[:8]
            yield f"{name} of {len({plate_id for plate_id, _ in differing})} plates came, went or changed ({which})"


def _present_digests(dataset: Dataset, plate_ids: list[str], name: str) -> set[tuple[str, str]]:
    """Plate and sha256 of each file of this name in `derived/`."""
    paths = {plate_id: dataset.derived_path(plate_id, name) for plate_id in plate_ids}
    return {(plate_id, sha256_of(path)) for plate_id, path in paths.items() if path.is_file()}


def read_sealed_rows(dataset: Dataset, role: str) -> pl.DataFrame:
    """The rows of a role's complete runs that `ledger/runs` knows, from the plates' own files."""
    table = INSTRUMENT_TABLES[role]
    runs = read_ledger(dataset, RUNS).filter(pl.col("status") == "complete", pl.col("role") == role)
    paths = [
        dataset.runs_dir(plate_id) / run_id / FILE_OF_ROLE[role]
        for run_id, plate_id in sorted(_known(runs) & sealed_runs(dataset))
    ]
    return _read_sealed_files(paths, table)
