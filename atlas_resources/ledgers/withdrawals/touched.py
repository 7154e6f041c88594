"""What an entry would touch: plates, sealed runs with those made from them, and rows of the ledgers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.records.withdrawal import TargetKind
from atlas_resources.runs.faults import RunKey, list_runs
from atlas_resources.runs.sealed import read_manifest, withdrawal_of
from atlas_resources.tables.ledgers import RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.withdrawals.in_force import Withdrawn, plate_withdrawal


@dataclass(frozen=True)
class Touched:
    """What changes sides between two states of the log.

    Attributes:
        plates: plates that are withdrawn themselves, or restored.
        direct: sealed runs that the entry names, or that are of what it names, with their instrument.
        dependents: sealed runs that have read a result of those, likewise.
        rows: rows in the ledgers, by table; only tables with any.
    """

    plates: tuple[str, ...]
    direct: Mapping[RunKey, str]
    dependents: Mapping[RunKey, str]
    rows: Mapping[str, int]

    @property
    def plate_ids(self) -> set[str]:
        """The plates that are withdrawn, or have a run that is."""
        return {*self.plates, *(plate_id for _, plate_id in (*self.direct, *self.dependents))}


def find_touched(dataset: Dataset, before: Withdrawn, after: Withdrawn) -> Touched:
    """What is withdrawn in one of two states of the log alone. Reads the manifest of every sealed run.

    A run whose manifest cannot be read is left out; `atlas verify` names it.
    """
    plates, direct, dependents = [], dict[RunKey, str](), dict[RunKey, str]()
    for plate in dataset.plates():
        if _differs(lambda state, plate=plate: plate_withdrawal(plate, state), before, after):
            plates.append(plate.id)
        for run_id in list_runs(plate)[0]:
            try:
                run = read_manifest(plate, run_id)

                def of_chain(state: Withdrawn, plate=plate, run=run):
                    return withdrawal_of(plate, run, state, read_manifest)

                def of_itself(state: Withdrawn, plate=plate, run=run):
                    key, weights = run.instrument.key, run.instrument.weights_sha256
                    return state.of_run(run.run_id, plate.id, key, weights, run.source_sha256)

                if _differs(of_chain, before, after):
                    group = direct if _differs(of_itself, before, after) else dependents
                    group[run_id, plate.id] = run.instrument.key
            except DatasetBroken:
                continue
    return Touched(tuple(plates), direct, dependents, _rows(dataset, {*direct, *dependents}))


def sealed_names(dataset: Dataset) -> dict[TargetKind, set[str]]:
    """Instruments, weights and sources of sealed runs, by `ledger/runs`: also those that are no longer present."""
    runs = read_ledger(dataset, RUNS)
    columns: dict[TargetKind, str] = {"model": "instrument", "weights": "weights_sha256", "source": "source_sha256"}
    return {kind: set(runs[column].drop_nulls()) for kind, column in columns.items()}


def _differs(withdrawal: Callable[[Withdrawn], object], before: Withdrawn, after: Withdrawn) -> bool:
    return (withdrawal(before) is None) != (withdrawal(after) is None)


def _rows(dataset: Dataset, keys: set[RunKey]) -> dict[str, int]:
    schema = {"run_id": pl.String, "plate_id": pl.String}
    touched = pl.DataFrame(sorted(keys), schema=schema, orient="row")
    counts = {
        table.name: read_ledger(dataset, table).select(schema.keys()).join(touched, on=list(schema), how="semi").height
        for table in (*INSTRUMENT_TABLES.values(), RUNS)
    }
    return {name: count for name, count in counts.items() if count}
