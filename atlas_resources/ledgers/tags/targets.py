"""Finding the plates and rows that people name, in the dataset and its ledgers. What is unknown is refused by name."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cache, cached_property

import polars as pl

from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.records.tag import Judgement
from atlas_resources.tables.records.tags import TARGET_IDS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT
from atlas_resources.tables.topology.spaces import PLATE_SPACES
from atlas_resources.tags.log import TagRefused
from atlas_resources.tags.selection import Wanted

BY_NAME = {table.name: table for table in INSTRUMENT_TABLES.values()}
REFRESH = "If it was measured since, the ledgers follow with: atlas run @ledgers"


class Targets:
    """The plates and rows of a dataset. Each ledger is read when it is first asked for."""

    def __init__(self, dataset: Dataset):
        """Reads nothing yet."""
        self.dataset = dataset
        self._rows = cache(self._read_rows)

    def resolve_all(self, wanted: Iterable[Wanted]) -> list[Judgement]:
        """The judgements with their rows.

        Raises:
            TagRefused: a row is unknown or named by more than one run, or two judgements are of the same; with where
                it is stated.
        """
        found: dict[tuple[object, ...], tuple[Judgement, str]] = {}
        for one in wanted:
            judgement = self.resolve(one)
            if judgement.key in found and found[judgement.key][0] != judgement:
                raise TagRefused(f"{one.where}: contradicts {found[judgement.key][1]}: both are of the same")
            found[judgement.key] = judgement, one.where
        return [judgement for judgement, _ in found.values()]

    def resolve(self, wanted: Wanted) -> Judgement:
        """A judgement with its row. Raises TagRefused if the row is unknown, or not told apart from others."""
        try:
            return self._resolve(wanted)
        except TagRefused as error:
            raise TagRefused(f"{wanted.where}: {error}" if wanted.where else str(error)) from None

    def _resolve(self, wanted: Wanted) -> Judgement:
        if wanted.plate_id not in self._plate_ids:
            known = sorted(self._plate_ids)
            raise TagRefused(f"no plate {wanted.plate_id!r} in {self.dataset.root}.{_hint(wanted.plate_id, known)}")
        run_id, cluster, inputs = wanted.run_id, wanted.cluster, None
        if wanted.table == "plate_spaces":
            run_id, cluster, inputs = self._cluster(wanted)
        elif wanted.table != "plates":
            run_id = self._run(wanted)
        return Judgement(
            plate_id=wanted.plate_id,
            table=wanted.table,
            run_id=run_id,
            row_id=wanted.row_id,
            space=wanted.space,
            cluster=cluster,
            inputs_sha256=inputs,
            judgement=wanted.judgement,
            tag=wanted.tag,
            corrected=wanted.corrected,
            note=wanted.note,
        )

    @cached_property
    def _plate_ids(self) -> set[str]:
        return {plate.id for plate in self.dataset.plates()}

    def _read_rows(self, name: str) -> dict[str, pl.DataFrame]:
        """Plate, run, id, instrument and currency of every row of a table, by plate."""
        columns = ("plate_id", "run_id", TARGET_IDS[name], "instrument", IS_CURRENT.name)
        rows = read_ledger(self.dataset, BY_NAME[name], columns)
        return {str(plate_id): found for (plate_id,), found in rows.group_by("plate_id")}

    def _run(self, wanted: Wanted) -> str:
        """The run of a row: the one that is named, or the only current one that has the row."""
        column, what = TARGET_IDS[wanted.table], f"{wanted.table} of {wanted.plate_id}"
        rows = self._rows(wanted.table).get(wanted.plate_id)
        if rows is None:
            raise TagRefused(f"there are no {what} in the ledgers. {REFRESH}")
        if wanted.run_id is not None:
            of_run = rows.filter(run_id=wanted.run_id)
            if of_run.is_empty():
                raise TagRefused(
                    f"run {wanted.run_id!r} has no {what}.{_hint(wanted.run_id, rows['run_id'])} {REFRESH}"
                )
            if wanted.row_id not in of_run[column]:
                raise TagRefused(f"no {wanted.row_id!r} in run {wanted.run_id}.{_hint(wanted.row_id, of_run[column])}")
            return wanted.run_id
        current = rows.filter(IS_CURRENT.name)
        found = current.filter(pl.col(column) == wanted.row_id).sort("instrument", "run_id")
        if found.is_empty():
            raise TagRefused(
                f"no {wanted.row_id!r} in current {what}.{_hint(wanted.row_id, current[column])} {REFRESH}"
            )
        if found.height > 1:
            runs = ", ".join(f"{run_id} ({key})" for run_id, key in found.select("run_id", "instrument").iter_rows())
            raise TagRefused(f"{wanted.row_id!r} is in {found.height} runs. Fix: name one by its run_id: {runs}")
        return found["run_id"][0]

    @cached_property
    def _clusters(self) -> pl.DataFrame:
        columns = ("space", "plate_id", "run_id", "cluster", "inputs_sha256")
        return read_ledger(self.dataset, PLATE_SPACES, columns)

    def _cluster(self, wanted: Wanted) -> tuple[str | None, int, str]:
        """The run, the number and the inputs of the cluster that a plate is in."""
        rows = self._clusters.filter(plate_id=wanted.plate_id)
        row = rows.filter(space=wanted.space)
        if row.is_empty():
            problem = f"no space {wanted.space!r} with {wanted.plate_id}.{_hint(wanted.space, rows['space'])} {REFRESH}"
            raise TagRefused(problem)
        _, _, run_id, cluster, inputs = row.row(0)
        if cluster is None:
            raise TagRefused(f"{wanted.plate_id} is in no cluster of {wanted.space}, so that there is none to judge")
        if wanted.cluster not in (None, cluster):
            raise TagRefused(f"{wanted.plate_id} is in cluster {cluster} of {wanted.space}, not in {wanted.cluster}")
        if wanted.run_id not in (None, run_id):
            raise TagRefused(f"run {wanted.run_id!r}: the vector of {wanted.plate_id} in {wanted.space} is of {run_id}")
        return run_id, cluster, inputs


def _hint(name: str | None, known: Sequence[str] | pl.Series) -> str:
    near = get_close_matches(name or "", list(dict.fromkeys(known)), n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""
