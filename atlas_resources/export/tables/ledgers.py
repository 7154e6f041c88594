"""Export of the ledgers as Parquet files, optionally without rows that may not be used commercially."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from atlas_resources.export._destination import require_outside
from atlas_resources.export.left_out import LeftOut, count_left_out
from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.ledgers.lineage.closure import made_from
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.ledgers.tags.ledger import changed_tags
from atlas_resources.ledgers.terms import TABLES, allowed_rows, why_not_plate, withheld_plates, withheld_rows
from atlas_resources.ledgers.withdrawals.ledger import changed_withdrawals
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.sealing import parquet_bytes
from atlas_resources.tables.ledgers import LEDGERS, LINEAGE, MODELS, PLATES, RUNS, SEGMENT_SETS
from atlas_resources.tables.records.reproductions import REPRODUCTIONS
from atlas_resources.tables.records.tags import TAGS
from atlas_resources.tables.records.withdrawals import WITHDRAWN_BY
from atlas_resources.tables.table import Table
from atlas_resources.tags.log import FOLDER as TAGS_FOLDER
from atlas_resources.withdrawals.log import FOLDER

LICENCES_NAME = "LICENCES.txt"


@dataclass(frozen=True)
class Written:
    """A file that was written."""

    path: Path
    rows: int


@dataclass(frozen=True)
class LeftOutPlate:
    """A plate of which no row is exported for commercial use, and why."""

    plate_id: str
    title: str
    reason: str


def _require_ledger(dataset: Dataset, table: Table) -> pl.DataFrame:
    path = ledger_path(dataset, table)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a ledger, found none. Build it: atlas run")
    return pl.read_parquet(path)


def plates_left_out(dataset: Dataset) -> list[LeftOutPlate]:
    """The plates whose scans may not be used commercially, with the reason. Withdrawn plates are not among them."""
    plates = _require_ledger(dataset, PLATES).filter(pl.col(WITHDRAWN_BY.name).is_null())
    columns = ("plate_id", "title", "licence", "rights_uri", "commercial_use", "no_ai")
    return [
        LeftOutPlate(plate_id, title, why_not_plate(licence or uri, terms, no_ai))
        for plate_id, title, licence, uri, terms, no_ai in withheld_plates(plates).select(columns).iter_rows()
    ]


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


def without_withdrawn(ledgers: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The ledgers without rows of withdrawn plates and runs. `withdrawals` and `models` are kept whole.

    Rows of a run go by `runs`, those of a plate by `plates`; a segment set also by the run of its foreground.
    """
    plates = _withdrawn(ledgers[PLATES.name], ["plate_id"])
    runs = _withdrawn(ledgers[RUNS.name], ["run_id", "plate_id"])
    foregrounds = runs.rename({"run_id": "foreground_run_id"})
    kept = dict(ledgers)
    for name, rows in ledgers.items():
        for gone in (plates, runs, foregrounds):
            if set(gone.columns) <= set(rows.columns):
                kept[name] = kept[name].join(gone, on=gone.columns, how="anti")
    return kept


def _withdrawn(rows: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    return rows.filter(pl.col("withdrawn_by").is_not_null()).select(columns)


def require_present_entries(dataset: Dataset) -> None:
    """Raises ValueError if the ledgers do not know what is withdrawn or judged by now: they would be exported so."""
    for folder, changed in ((FOLDER, changed_withdrawals), (TAGS_FOLDER, changed_tags)):
        if reason := next(changed(dataset), None):
            raise ValueError(
                f"{dataset.ledger_dir} is behind {dataset.root / folder}: {reason}. Fix: atlas run @ledgers"
            )


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


def export_ledgers(dataset: Dataset, folder: Path, commercial: bool = False) -> tuple[list[Written], list[LeftOut]]:
    """Writes every ledger to `<folder>/<table>.parquet`. Replaces files of an earlier export, each atomically.

    Rows of withdrawn plates and runs are left out.

    Args:
        dataset: the dataset.
        folder: folder to write to; created if missing.
        commercial: leave out rows that are not known to allow commercial use, by the terms of the model and of the
            plate; `LICENCES.txt` names what was left out.

    Returns:
        The files written, and the rows left out by the terms of models. `plates_left_out` has the plates.

    Raises:
        FileNotFoundError: a ledger is missing.
        ValueError: the folder is inside the dataset, or the ledgers are behind the withdrawals or tags.
    """
    require_outside(dataset, folder)
    ledgers = {name: _require_ledger(dataset, table) for name, table in LEDGERS.items()}
    require_present_entries(dataset)
    ledgers = without_withdrawn(ledgers)
    left_out: list[LeftOut] = []
    if commercial:
        ledgers, left_out = _for_commercial_use(ledgers)
        notice = licences_text(ledgers, left_out, plates_left_out(dataset))
        write_bytes_atomically(folder / LICENCES_NAME, notice.encode())
    else:
        (folder / LICENCES_NAME).unlink(missing_ok=True)  # of an earlier export, which had other rows
    written = []
    for name, rows in ledgers.items():
        path = folder / f"{name}.parquet"
        write_bytes_atomically(path, parquet_bytes(rows))
        written.append(Written(path, rows.height))
    return written, left_out
