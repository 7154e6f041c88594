"""Where Dagster's events differ from the disk: partitions without an event, events without a result, partitions."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import dagster as dg

from atlas_assets.graph.dagster_internals import DATA_VERSION_TAG
from atlas_assets.graph.partitions import Partitions, count_in, known_partitions, missing_partitions, read_partitioning
from atlas_assets.graph.recorded.on_disk import AssetOnDisk, Version, read_on_disk
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset

NOT_ON_DISK = "not on disk"
"""The data version of the observation by which `atlas repair-events` marks a plate whose result is gone."""
FIX = "atlas repair-events"
SHOWN = 5


@dataclass(frozen=True)
class AssetDifferences:
    """How Dagster's events of one asset differ from the disk.

    Attributes:
        on_disk: the asset, with what the disk has of it.
        unrecorded: the version of each partition whose result on disk has no event, or one of another version.
        gone: partitions that Dagster shows as materialised, and of which the disk has no complete result.
    """

    on_disk: AssetOnDisk
    unrecorded: Mapping[str, Version]
    gone: tuple[str, ...]


@dataclass(frozen=True)
class Differences:
    """How Dagster's events differ from the disk.

    Attributes:
        new_partitions: registered plates that Dagster has no partition of.
        gone_partitions: partitions without a registered plate.
        assets: the assets whose events differ, each after those that it reads.
        compared: how many plates of assets were compared.
        plates: the registered plates of each partition.
    """

    new_partitions: tuple[str, ...]
    gone_partitions: tuple[str, ...]
    assets: tuple[AssetDifferences, ...]
    compared: int
    plates: Mapping[str, Sequence[str]]

    def lines(self) -> Iterator[str]:
        """A line for each kind of difference and asset, which names the first plates."""
        if self.new_partitions:
            yield f"registered plates without a partition: {named(self.new_partitions)}"
        if self.gone_partitions:
            yield f"partitions of plates that are not registered: {named(self.gone_partitions)}"
        for asset in self.assets:
            name = asset.on_disk.key.to_user_string()
            if asset.unrecorded:
                yield f"{name}: on disk, without an event of that version: {named(list(asset.unrecorded))}"
            if asset.gone:
                yield f"{name}: shown as materialised, not on disk: {named(asset.gone)}"


def named(plate_ids: Sequence[str]) -> str:
    """The number of plates, or of partitions, and the first ones by name."""
    more = f" and {len(plate_ids) - SHOWN} more" if len(plate_ids) > SHOWN else ""
    return f"{len(plate_ids)} ({', '.join(plate_ids[:SHOWN])}{more})"


def find_differences(
    instance: dg.DagsterInstance, dataset: Dataset, registry: Registry, partitions: Partitions | None = None
) -> Differences:
    """Compares the events of manifests, groundwork and every admitted instrument with the disk.

    Partitions that a run is making, and those of plates whose own files cannot be read, are not compared. A partition
    that failed after it was made agrees with the disk if the disk has what it was made then.

    Args:
        instance: where the events are.
        dataset: the dataset.
        registry: the instruments.
        partitions: the dataset's partitions; by default as the settings declare.

    Raises:
        PartitionsDiffer: Dagster has partitions of the other kind.
    """
    partitions = partitions or read_partitioning().of(dataset)
    new, registered = missing_partitions(instance, dataset, partitions), dataset.plate_ids()
    plates = partitions.plates_of(dict.fromkeys(partitions.keys_of(registered).values()))
    known = set(known_partitions(instance, partitions))
    found = read_on_disk(dataset, registry)
    with_events = set(instance.all_asset_keys())  # most admitted instruments have neither events nor results
    compared = [on_disk for on_disk in found if on_disk.versions or on_disk.key in with_events]
    assets = [_compare(instance, on_disk, partitions, plates, known) for on_disk in compared]
    return Differences(
        new_partitions=tuple(new),
        gone_partitions=tuple(sorted(known - plates.keys())),
        assets=tuple(asset for asset in assets if asset.unrecorded or asset.gone),
        compared=len(registered) * len(found),
        plates=plates,
    )


def _compare(
    instance: dg.DagsterInstance,
    on_disk: AssetOnDisk,
    partitions: Partitions,
    plates: Mapping[str, Sequence[str]],
    known: Set[str],
) -> AssetDifferences:
    names = list(plates)
    statuses = instance.get_status_by_partition(on_disk.key, names, partitions.definition) or {}
    storage = instance.event_log_storage
    made, observed = (
        storage.get_latest_tags_by_partition(on_disk.key, kind, [DATA_VERSION_TAG], names)
        for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION)
    )
    unrecorded, gone = {}, []
    for key, plate_ids in plates.items():
        status = statuses.get(key)
        shown = status.value if status else None
        if key not in known and key in made:  # of a plate that had this id: its events come back with it
            shown = "MATERIALIZED"
        if shown == "IN_PROGRESS" or not on_disk.unreadable.isdisjoint(plate_ids):
            continue
        version = on_disk.version_of(plate_ids, partitions)
        if version is None:
            # A shard that has grown since is not whole again yet; its new plates are missing, and none is gone.
            has_grown = partitions.has_many and _count_in(made.get(key)) != len({*plate_ids} - on_disk.withdrawn)
            gone += [key] if shown == "MATERIALIZED" and not has_grown else []
            continue
        is_marked = shown == "FAILED" and observed.get(key, {}).get(DATA_VERSION_TAG) == NOT_ON_DISK
        if shown is None or is_marked or made.get(key, {}).get(DATA_VERSION_TAG) != version.data:
            unrecorded[key] = version
    return AssetDifferences(on_disk, unrecorded, tuple(gone))


def _count_in(tags: Mapping[str, str] | None) -> int | None:
    return count_in(tags[DATA_VERSION_TAG]) if tags else None
