"""Export of the ledgers as Parquet files, optionally without rows that may not be used commercially."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from atlas_resources.chains.person import this_person
from atlas_resources.export._destination import require_outside
from atlas_resources.export.left_out import (
    LeftOut,
    LeftOutPlate,
    Withdrawn,
    count_left_out,
    plate_sentences,
    plates_left_out,
    require_ledger,
    require_present_entries,
    withdrawn_from,
    without_withdrawn,
)
from atlas_resources.export.tables.croissant import (
    CROISSANT_NAME,
    About,
    DescribedFile,
    UnitOf,
    croissant_document,
)
from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.ledgers.lineage.closure import made_from
from atlas_resources.ledgers.terms import TABLES, allowed_rows, withheld_plates, withheld_rows
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.sealing import parquet_bytes
from atlas_resources.tables.ledgers import LEDGERS, LINEAGE, MODELS, PLATES, RUNS, SEGMENT_SETS
from atlas_resources.tables.records.reproductions import REPRODUCTIONS
from atlas_resources.tables.records.tags import TAGS
from atlas_resources.tables.table import Table

LICENCES_NAME = "LICENCES.txt"


@dataclass(frozen=True)
class Written:
    """A file that was written."""

    path: Path
    rows: int


@dataclass(frozen=True)
class Exported:
    """What an export has, and what it has not.

    Attributes:
        files: the Parquet files.
        left_out: rows that were left out by the terms of models.
        plates: plates of which no row is there, by the terms of their scans.
        withdrawn: what is left out since it is withdrawn.
    """

    files: list[Written]
    left_out: list[LeftOut]
    plates: list[LeftOutPlate]
    withdrawn: Withdrawn

    @property
    def sentences(self) -> list[str]:
        """What is left out, and why, a line each."""
        by_terms = (one.sentence for one in self.left_out)
        return [*self.withdrawn.sentences, *plate_sentences(self.plates), *by_terms]


def _for_commercial_use(ledgers: dict[str, pl.DataFrame]) -> tuple[dict[str, pl.DataFrame], list[LeftOut]]:
    """The ledgers without the rows that may not be used commercially, and what was left out of them.

    No table has a row of a plate whose scan may not be used commercially. Tables of results and `runs` go by their own
    terms too, `reproductions`, `segment_sets` and `tags` of rows by the runs they come from: for a set, its own and its
    foreground's. `lineage` keeps what the kept runs and the groundwork were made from. `models` and what has no row of
    a plate are kept whole.
    """
    withheld = withheld_plates(ledgers[PLATES.name]).select("plate_id")
    ledgers = {
        name: rows.join(withheld, on="plate_id", how="anti") if "plate_id" in rows.columns else rows
        for name, rows in ledgers.items()
    }
    models, plates = ledgers[MODELS.name], ledgers[PLATES.name]
    kept, left_out = dict(ledgers), []
    for name in (*TABLES, RUNS.name):
        rows = ledgers[name]
        kept[name] = allowed_rows(rows, models, plates)
        left_out += count_left_out(name, withheld_rows(rows, models, plates), models)
    runs = kept[RUNS.name].select("run_id", "plate_id")
    kept[REPRODUCTIONS.name] = ledgers[REPRODUCTIONS.name].join(runs, on=runs.columns, how="semi")
    tags = ledgers[TAGS.name]
    of_runs = tags.join(runs, on=runs.columns, how="semi")
    kept[TAGS.name] = TAGS.conform(pl.concat([tags.filter(pl.col("run_id").is_null()), of_runs]))
    kept[LINEAGE.name] = _allowed_lineage(ledgers[LINEAGE.name], runs)
    none = pl.lit(None, pl.String).alias("run_id")  # of a set without a foreground
    foregrounds = pl.concat([runs, runs.with_columns(none)]).rename({"run_id": "foreground_run_id"})
    sets = ledgers[SEGMENT_SETS.name].join(runs, on=runs.columns, how="semi")
    kept[SEGMENT_SETS.name] = sets.join(foregrounds, on=foregrounds.columns, how="semi", nulls_equal=True)
    return kept, left_out


def _allowed_lineage(lineage: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """The edges of these runs, those of no run, such as the groundwork's, and what is shared by these."""
    is_shared = pl.col("plate_id").is_null()
    of_runs = lineage.join(runs, on=runs.columns, how="semi")
    of_none = lineage.filter(~is_shared & pl.col("run_id").is_null())
    return made_from(pl.concat([of_runs, of_none]), lineage.filter(is_shared))


def licences_text(
    ledgers: Mapping[str, pl.DataFrame], left_out: Sequence[LeftOut], plates: Sequence[LeftOutPlate]
) -> str:
    """The text beside an export for commercial use: whom to name, and what was left out and why, per plate."""
    named = ledgers[PLATES.name].select("plate_id", "title", "licence", "rights_uri", "attribution").iter_rows()
    kept = [
        f"{plate_id}: {_line(title)}; licence: {_line(licence or uri)}{f'; credit: {_line(credit)}' if credit else ''}"
        for plate_id, title, licence, uri, credit in named
    ]
    gone = [f"{plate.plate_id}: {_line(plate.title)}: {_line(plate.reason)}" for plate in plates]
    rows = [f"{one.rows} rows of {one.instrument} in {one.table}: {_line(one.reason)}" for one in left_out]
    parts = (
        (f"Plates in this export ({len(kept)})", kept),
        (f"Plates left out ({len(gone)})", gone),
        ("Rows of these plates left out by the terms of the model", rows),
    )
    return "\n".join(line for title, lines in parts for line in (title, "", *(lines or ["none"]), ""))


def _line(text: str | None) -> str:
    """Text of an index in one line."""
    return " ".join((text or "").split())


def export_ledgers(
    dataset: Dataset,
    folder: Path,
    commercial: bool = False,
    *,
    creator: str | None = None,
    unit_of: UnitOf = lambda table, path: None,
) -> Exported:
    """Writes every ledger to `<folder>/<table>.parquet`. Replaces files of an earlier export, each atomically.

    Rows of withdrawn plates and runs are left out. `croissant.json` describes the files that were written.

    Args:
        dataset: the dataset.
        folder: folder to write to; created if missing.
        commercial: leave out rows that are not known to allow commercial use, by the terms of the model and of the
            plate; `LICENCES.txt` names what was left out.
        creator: who exports, for the description; by default git's user.name, or the user of the machine.
        unit_of: the unit of a number, for the description.

    Raises:
        FileNotFoundError: a ledger is missing.
        ValueError: the folder is inside the dataset, or the ledgers are behind the withdrawals or tags.
    """
    require_outside(dataset, folder)
    ledgers = {name: require_ledger(dataset, table) for name, table in LEDGERS.items()}
    require_present_entries(dataset)
    withdrawn = withdrawn_from(ledgers)
    ledgers = without_withdrawn(ledgers)
    left_out: list[LeftOut] = []
    plates: list[LeftOutPlate] = []
    notices = []
    if commercial:
        ledgers, left_out = _for_commercial_use(ledgers)
        plates = plates_left_out(dataset)
        notices.append(_write_notice(folder, licences_text(ledgers, left_out, plates)))
    else:
        (folder / LICENCES_NAME).unlink(missing_ok=True)  # of an earlier export, which had other rows
    files = [_write(folder, LEDGERS[name], rows) for name, rows in ledgers.items()]
    exported = Exported([Written(folder / file.name, file.rows.height) for file in files], left_out, plates, withdrawn)
    about = About(
        creator=creator or this_person(None).name,
        exported_at=datetime.now(UTC),
        project_version=importlib.metadata.version("atlas-plates"),
        left_out=exported.sentences,
        notices=notices,
    )
    described = json.dumps(croissant_document(files, about, unit_of), ensure_ascii=False, indent=1) + "\n"
    write_bytes_atomically(folder / CROISSANT_NAME, described.encode())
    return exported


def _write_notice(folder: Path, text: str) -> tuple[str, str, int]:
    """Name, digest and size of the list of licences."""
    content = text.encode()
    write_bytes_atomically(folder / LICENCES_NAME, content)
    return LICENCES_NAME, hashlib.sha256(content).hexdigest(), len(content)


def _write(folder: Path, table: Table, rows: pl.DataFrame) -> DescribedFile:
    content = parquet_bytes(rows)
    name = f"{table.name}.parquet"
    write_bytes_atomically(folder / name, content)
    return DescribedFile(table, rows, name, hashlib.sha256(content).hexdigest(), len(content))
