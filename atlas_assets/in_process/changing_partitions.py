"""`atlas change-partitions`: gives a dataset's partitions in Dagster the kind that `partitions.yaml` declares.

The new partitions are added, the old ones removed, and what the disk has is reported for the new ones. Plates, runs and
ledgers are not touched. If it is killed, Dagster has partitions of both kinds, nothing else acts on them, and the next
call goes on.
"""

from collections.abc import Callable, Iterator

import dagster as dg

from atlas_assets.automation.under_way import unfinished_runs
from atlas_assets.graph.partitions import (
    PLATES_NAME,
    SHARDS_NAME,
    Partitioning,
    known_partitions,
    new_partitions,
    other_partitions,
    read_partitioning,
)
from atlas_assets.in_process.repairing import repair_events
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset


def change_partitions(
    instance: dg.DagsterInstance,
    dataset: Dataset,
    registry: Registry,
    *,
    is_dry: bool = False,
    on_removed: Callable[[int, int], None] = lambda number, count: None,
) -> Iterator[str]:
    """Changes a dataset over to the declared partitions. Yields a line for each thing done; none if there is nothing.

    Args:
        instance: where partitions and events are.
        dataset: the dataset. Only its record of shards is written.
        registry: the instruments.
        is_dry: only say what would be done.
        on_removed: called with the number of old partitions that are removed, and how many there are.

    Raises:
        ValueError: no plate is registered, or runs are in progress.
    """
    partitioning = read_partitioning()
    old = other_partitions(instance, partitioning.partitions)
    if old is None:
        return
    plate_ids = dataset.plate_ids()
    _require_settled(instance, dataset, old, plate_ids)
    removed = instance.get_dynamic_partitions(old)
    if is_dry:
        yield f"changed {len(plate_ids)} plates from {len(removed)} partitions, of {old}, to {_described(partitioning)}"
        return
    partitions = partitioning.of(dataset)
    added = new_partitions(instance, partitions, plate_ids)
    if added:
        instance.add_dynamic_partitions(partitions.name, added)
    yield f"{len(plate_ids)} plates are in {len(known_partitions(instance, partitions))} {partitions.name}"
    for number, key in enumerate(removed, start=1):
        instance.delete_dynamic_partition(old, key)
        on_removed(number, len(removed))
    yield f"removed the {len(removed)} partitions of {old}; their events stay in Dagster's history"
    yield from repair_events(instance, dataset, registry)


def _described(partitioning: Partitioning) -> str:
    if partitioning.partitions == PLATES_NAME:
        return "a partition for each"
    return f"{SHARDS_NAME} of {partitioning.plates_per_shard}"


def _require_settled(instance: dg.DagsterInstance, dataset: Dataset, old: str, plate_ids: list[str]) -> None:
    """Raises ValueError if this is most likely another dataset, or if a run in progress knows the old partitions."""
    if not plate_ids:
        raise ValueError(
            f"{dataset.root}: no plate is registered, and Dagster has partitions of {old}. Fix: set ATLAS_HOME to the "
            f"dataset of {instance.root_directory}; or, if the plates are gone for good, delete it"
        )
    runs = [run.run_id[:8] for run in unfinished_runs(instance)]
    if runs:
        raise ValueError(
            f"runs are in progress: {', '.join(runs[:5])}. Fix: stop the daemon or switch automation off, and wait "
            "until they have ended, or terminate them in the UI"
        )
