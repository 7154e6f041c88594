"""Where Dagster's events differ from the disk: plates without an event, events without a result, partitions."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import dagster as dg

from atlas_assets.graph.dagster_internals import DATA_VERSION_TAG
from atlas_assets.graph.partitions import PLATES, PLATES_NAME, missing_partitions
from atlas_assets.graph.recorded.on_disk import AssetOnDisk, read_on_disk
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
        unrecorded: plates whose result on disk has no event, or whose last event is of another version.
        gone: plates that Dagster shows as materialised, and of which the disk has no complete result.
    """

    on_disk: AssetOnDisk
    unrecorded: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True)
class Differences:
    """How Dagster's events differ from the disk.

    Attributes:
        new_partitions: registered plates that Dagster has no partition of.
        gone_partitions: partitions without a registered plate.
        assets: the assets whose events differ, each after those that it reads.
        compared: how many plates of assets were compared.
    """

    new_partitions: tuple[str, ...]
    gone_partitions: tuple[str, ...]
    assets: tuple[AssetDifferences, ...]
    compared: int

    def lines(self) -> Iterator[str]:
        """A line for each kind of difference and asset, which names the first plates."""
        if self.new_partitions:
            yield f"registered plates without a partition: {named(self.new_partitions)}"
        if self.gone_partitions:
            yield f"partitions of plates that are not registered: {named(self.gone_partitions)}"
        for asset in self.assets:
            name = asset.on_disk.key.to_user_string()
            if asset.unrecorded:
                yield f"{name}: on disk, without an event of that version: {named(asset.unrecorded)}"
            if asset.gone:
                yield f"{name}: shown as materialised, not on disk: {named(asset.gone)}"


def named(plate_ids: Sequence[str]) -> str:
    """The number of plates, and the first ones by name."""
    more = f" and {len(plate_ids) - SHOWN} more" if len(plate_ids) > SHOWN else ""
    return f"{len(plate_ids)} ({', '.join(plate_ids[:SHOWN])}{more})"


def find_differences(instance: dg.DagsterInstance, dataset: Dataset, registry: Registry) -> Differences:
    """Compares the events of manifests, groundwork and every admitted instrument with the disk.

    Plates that a run is making, and plates whose own files cannot be read, are not compared. A plate that failed after
    it was made agrees with the disk if the disk has what it was made then.
    """
    registered = dataset.plate_ids()
    known = set(instance.get_dynamic_partitions(PLATES_NAME))
    found = read_on_disk(dataset, registry)
    assets = [_compare(instance, on_disk, registered, known) for on_disk in found]
    return Differences(
        new_partitions=tuple(missing_partitions(instance, dataset)),
        gone_partitions=tuple(sorted(known - set(registered))),
        assets=tuple(asset for asset in assets if asset.unrecorded or asset.gone),
        compared=len(registered) * len(found),
    )


def _compare(
    instance: dg.DagsterInstance, on_disk: AssetOnDisk, plate_ids: Sequence[str], known: Set[str]
) -> AssetDifferences:
    statuses = instance.get_status_by_partition(on_disk.key, plate_ids, PLATES) or {}
    storage, names = instance.event_log_storage, list(plate_ids)
    made, observed = (
        storage.get_latest_tags_by_partition(on_disk.key, kind, [DATA_VERSION_TAG], names)
        for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION)
    )
    unrecorded, gone = [], []
    for plate_id in plate_ids:
        status = statuses.get(plate_id)
        shown = status.value if status else None
        if plate_id not in known and plate_id in made:  # of a plate that had this id: its events come back with it
            shown = "MATERIALIZED"
        if plate_id in on_disk.unreadable or shown == "IN_PROGRESS":
            continue
        version = on_disk.versions.get(plate_id)
        if version is None:
            gone += [plate_id] if shown == "MATERIALIZED" else []
            continue
        is_marked = shown == "FAILED" and observed.get(plate_id, {}).get(DATA_VERSION_TAG) == NOT_ON_DISK
        if shown is None or is_marked or made.get(plate_id, {}).get(DATA_VERSION_TAG) != version.data:
            unrecorded.append(plate_id)
    return AssetDifferences(on_disk, tuple(unrecorded), tuple(gone))
