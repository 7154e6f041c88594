"""What every export leaves out, and why: what is withdrawn, and for commercial use what its terms do not allow."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from atlas_resources.files.stated_digests import part_paths
from atlas_resources.ledgers.parquet import ledger_path, scan_table
from atlas_resources.ledgers.tags.ledger import changed_tags
from atlas_resources.ledgers.terms import why_not, why_not_plate, withheld_plates
from atlas_resources.ledgers.withdrawals.ledger import changed_withdrawals
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import PLATES, RUNS
from atlas_resources.tables.records.withdrawals import WITHDRAWN_BY
from atlas_resources.tables.table import Table
from atlas_resources.tags.log import FOLDER as TAGS_FOLDER
from atlas_resources.withdrawals.log import FOLDER


@dataclass(frozen=True)
class LeftOut:
    """Rows of an instrument that were left out of a table, and why."""

    table: str
    instrument: str
    rows: int
    reason: str

    @property
    def counted(self) -> str:
        """The number of rows, in words."""
        return _counted(self.rows, "row")

    @property
    def sentence(self) -> str:
        """What was left out, and why."""
        return f"{self.counted} of {self.instrument} in {self.table}: {self.reason}"


@dataclass(frozen=True)
class Withdrawn:
    """How many plates, and how many results of plates that are not withdrawn, are left out since they are withdrawn."""

    plates: int
    results: int

    @property
    def sentences(self) -> list[str]:
        """What is left out, a sentence each; none if nothing is withdrawn."""
        said = []
        if self.plates:
            said.append(f"{_counted(self.plates, 'plate')} with all rows: withdrawn")
        if self.results:
            said.append(f"{_counted(self.results, 'result')} of plates: the run, or one that it has read, is withdrawn")
        return said


@dataclass(frozen=True)
class LeftOutPlate:
    """A plate of which no row is exported for commercial use, and why."""

    plate_id: str
    title: str
    reason: str


def count_left_out(name: str, rows: pl.DataFrame, models: pl.DataFrame) -> list[LeftOut]:
    """Counts withheld rows of plates that may be used, by instrument and terms.

    Args:
        name: of the table.
        rows: the rows that are withheld.
        models: the ledger, with the present terms of each instrument.
    """
    present = {row["instrument"]: row for row in models.select("instrument", "licence", "commercial_use").to_dicts()}
    groups = rows.group_by("instrument", "licence", "commercial_use").len().sort("instrument", "licence")
    found = []
    for instrument, licence, terms, count in groups.iter_rows():
        now = present.get(instrument, {})
        reason = why_not(licence, terms, now.get("licence"), now.get("commercial_use"))
        found.append(LeftOut(name, instrument, count, reason))
    return found


def require_ledger(dataset: Dataset, table: Table) -> pl.DataFrame:
    """The rows of a ledger. Raises FileNotFoundError, with the command that builds it, if there is none."""
    path = ledger_path(dataset, table)
    if not part_paths(path):
        raise FileNotFoundError(f"{path}: expected a ledger, found none. Build it: atlas run")
    return scan_table(path, table).collect()


def plates_left_out(dataset: Dataset) -> list[LeftOutPlate]:
    """The plates whose scans may not be used commercially, with the reason. Withdrawn plates are not among them."""
    return withheld_with_reasons(require_ledger(dataset, PLATES).filter(pl.col(WITHDRAWN_BY.name).is_null()))


def withheld_with_reasons(plates: pl.DataFrame) -> list[LeftOutPlate]:
    """Those of these plates whose scans may not be used commercially, with the reason."""
    columns = ("plate_id", "title", "licence", "rights_uri", "commercial_use", "no_ai")
    return [
        LeftOutPlate(plate_id, title, why_not_plate(licence or uri, terms, no_ai))
        for plate_id, title, licence, uri, terms, no_ai in withheld_plates(plates).select(columns).iter_rows()
    ]


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


def withdrawn_from(ledgers: Mapping[str, pl.DataFrame]) -> Withdrawn:
    """Counts what `without_withdrawn` leaves out."""
    plates = _withdrawn(ledgers[PLATES.name], ["plate_id"])
    runs = _withdrawn(ledgers[RUNS.name], ["run_id", "plate_id"])
    return Withdrawn(plates.height, runs.join(plates, on="plate_id", how="anti").height)


def plate_sentences(plates: Sequence[LeftOutPlate]) -> list[str]:
    """How many plates are left out for each reason, the most first."""
    counts = Counter(plate.reason for plate in plates).most_common()
    return [f"{_counted(count, 'plate')} with all rows: {reason}" for reason, count in counts]


def _counted(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"
