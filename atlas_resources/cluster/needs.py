"""What a Dagster run needs of the machine it is put on: a GPU if a step takes one, and the memory that was measured."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg
import polars as pl

from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import RUNS

GPU_POOL = "gpu"
INSTRUMENT_TAG = "atlas/instrument"  # of a step, and of its asset


@dataclass(frozen=True)
class Needs:
    """What a run needs.

    Attributes:
        gpus: 1 if any step takes a slot in the pool `gpu`: the steps of a run come one after another.
        memory_bytes: the most that a process had used when one of the run's instruments sealed a plate; None if none
            of them has sealed one since memory is recorded. A guess is never made.
    """

    gpus: int
    memory_bytes: int | None


def needs_of(instance: dg.DagsterInstance, run: dg.DagsterRun, dataset: Dataset) -> Needs:
    """What a run needs, from its own execution plan and the ledger of runs."""
    steps = list(_steps_of(instance, run))
    instruments = {tags[INSTRUMENT_TAG] for _, tags in steps if INSTRUMENT_TAG in tags}
    return Needs(int(any(pool == GPU_POOL for pool, _ in steps)), measured_memory(dataset, instruments))


def measured_memory(dataset: Dataset, instruments: Collection[str]) -> int | None:
    """The most memory, bytes, that any current run of the instruments recorded. None if the ledger states none."""
    path = ledger_path(dataset, RUNS)
    if not instruments or not path.is_file():
        return None
    is_wanted = pl.col("instrument").is_in(list(instruments)) & pl.col("is_current")
    return pl.scan_parquet(path).filter(is_wanted).select(pl.col("peak_memory_bytes").max()).collect().item()


def _steps_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[tuple[str | None, Mapping[str, str]]]:
    """The pool and the tags of each step that a run executes; of all steps of its plan unless it is limited to some."""
    if run.execution_plan_snapshot_id is None:
        return
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    wanted = run.step_keys_to_execute or plan.step_keys_to_execute
    yield from ((step.pool, step.tags or {}) for step in plan.steps if step.key in wanted)
