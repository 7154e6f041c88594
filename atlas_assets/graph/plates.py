"""The asset `plate/manifest`: every registered plate, its source compared with the registered digest."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import dagster as dg

from atlas_assets.graph._metadata import column_schema, dagster_metadata
from atlas_assets.graph.dagster_internals import DATA_VERSION_TAG
from atlas_assets.graph.partitions import (
    BY_PLATE,
    ORDINARY,
    Partitioning,
    Partitions,
    add_missing_partitions,
    count_in,
    read_partitioning,
)
from atlas_assets.graph.plate_step.events import materialization
from atlas_assets.graph.plate_step.partition import SAMPLES, OnDisk, PlateResult, shown_of_many
from atlas_assets.graph.plate_step.step import PlateRun, PlateStep
from atlas_assets.ui.metadata import picture_metadata
from atlas_resources.files.digests import sha256_of
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate
from atlas_resources.resources import DatasetResource
from atlas_resources.tables.ledgers import PLATES as PLATES_TABLE

MANIFEST_KEY = dg.AssetKey(["plate", "manifest"])
MANIFEST_CODE_VERSION = "1"
UNREADABLE = (OSError, ValueError, LookupError)


def build_plate_manifest(partitioning: Partitioning = ORDINARY) -> dg.AssetsDefinition:
    """The asset of every registered plate.

    Args:
        partitioning: what Dagster's partitions are.
    """

    @dg.asset(
        key=MANIFEST_KEY,
        partitions_def=partitioning.definition,
        group_name="plate",
        description="Identity of each registered plate. Materialising it compares the source with the registered "
        "sha256.",
        kinds={"json"},
        owners=["team:atlas"],
        code_version=MANIFEST_CODE_VERSION,
        metadata=column_schema(PLATES_TABLE),
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
    )
    def plate_manifest(context: dg.AssetExecutionContext, config: PlateRun, dataset: DatasetResource) -> Iterator[Any]:
        """Yields one event per partition; if a plate's source changed or is missing, only that plate fails."""
        opened = dataset.open()
        step = PlateStep(
            context,
            config,
            [MANIFEST_KEY],
            code_version=MANIFEST_CODE_VERSION,
            is_checked=False,
            partitions=partitioning.of(opened),
            read_others=lambda plate_ids: OnDisk(_registered(opened, plate_ids)),
        )
        yield from step.events(_check_source(opened, plate_id) for plate_id in step.plate_ids)

    return plate_manifest


def _check_source(dataset: Dataset, plate_id: str) -> PlateResult:
    try:
        plate = dataset.plate(plate_id)
        sha256 = _require_source(plate)
        shown = manifest_metadata(plate, sha256)
        return PlateResult(plate_id, "complete", data_version=sha256, metadata=lambda: [shown])
    except UNREADABLE as error:
        return PlateResult(plate_id, "failed", f"{type(error).__name__}: {error}")


def _require_source(plate: Plate) -> str:
    """The registered digest of the plate's source, once its bytes have been compared with it."""
    path, registered = plate.source_path(), plate.source_sha256()
    found = sha256_of(path)
    if found != registered:
        raise ValueError(
            f"{path} has changed: expected sha256 {registered}, found {found}. Put the registered file back, or "
            f"register the new one as a plate of its own."
        )
    return registered


def manifest_metadata(plate: Plate, sha256: str) -> dict[str, Any]:
    """What the UI shows of a registered plate, whose source has this digest."""
    manifest, source = plate.manifest(), plate.source_path()
    return {
        **picture_metadata(plate.id, plate.thumbnail()),
        "title": manifest.title,
        "source": source,
        "source_sha256": sha256,
        "file_size_bytes": source.stat().st_size,
        "licence": manifest.license or "not stated",
        "origin": manifest.origin.url if manifest.origin else "not fetched by atlas plates pull",
        "index_data": dict(manifest.extra),
        "manifest_version": manifest.manifest_version,
    }


def untried_plates(
    instance: dg.DagsterInstance, plate_ids: Sequence[str], partitions: Partitions = BY_PLATE
) -> list[str]:
    """The plates whose manifest was never materialised or tried: what is made of them would be shown as stale.

    Also those of a shard that had another number of plates when its manifests were last recorded.
    """
    keys = partitions.keys_of(plate_ids)
    distinct = list(dict.fromkeys(keys.values()))
    statuses = instance.get_status_by_partition(MANIFEST_KEY, distinct, partitions.definition) or {}
    untried = {key for key in distinct if statuses.get(key) is None} | _resized(instance, distinct, partitions)
    return [plate_id for plate_id in plate_ids if keys.get(plate_id) in untried]


def _resized(instance: dg.DagsterInstance, keys: Sequence[str], partitions: Partitions) -> set[str]:
    """The partitions with several plates that have another number of them than their last event tells."""
    if not partitions.has_many or not keys:
        return set()
    storage, kind = instance.event_log_storage, dg.DagsterEventType.ASSET_MATERIALIZATION
    recorded = storage.get_latest_tags_by_partition(MANIFEST_KEY, kind, [DATA_VERSION_TAG], list(keys))
    present = partitions.plates_of(recorded)
    return {key for key, tags in recorded.items() if count_in(tags[DATA_VERSION_TAG]) != len(present[key])}


def report_registered(
    instance: dg.DagsterInstance, dataset: Dataset, partitions: Partitions | None = None
) -> list[str]:
    """Records the manifest of each registered plate that Dagster has no event of, and its partition; returns those.

    Registration has compared their sources already. Without the events the UI warns that upstream data are missing. A
    plate that cannot be read, or whose source changed since, is left to a run, which says what is wrong; and with it
    the other plates of its partition.
    """
    partitions = partitions or read_partitioning().of(dataset)
    add_missing_partitions(instance, dataset, partitions)
    reported = []
    keys = partitions.keys_of(untried_plates(instance, dataset.plate_ids(), partitions))
    for key, plate_ids in partitions.plates_of(dict.fromkeys(keys.values())).items():
        registered = _registered(dataset, plate_ids)
        if not registered or len(registered) < len(plate_ids):
            continue
        try:
            shown = [(one, [manifest_metadata(dataset.plate(one), registered[one])]) for one in plate_ids[:SAMPLES]]
        except UNREADABLE:
            continue
        (metadata,) = shown_of_many({"plates": len(plate_ids)}, shown) if partitions.has_many else shown[0][1]
        recorded = {"recorded": "as registered; no run has compared the source since"}
        event = materialization(
            MANIFEST_KEY,
            key,
            versions=(partitions.version_of(registered), MANIFEST_CODE_VERSION),
            metadata=dagster_metadata({**metadata, **recorded}),
            input_tags={},
        )
        instance.report_runless_asset_event(event)
        reported += plate_ids
    return reported


def _registered(dataset: Dataset, plate_ids: Sequence[str]) -> dict[str, str]:
    """The registered digest of each plate that can be read, and whose source did not change since by size and time."""
    found = {}
    for plate_id in plate_ids:
        plate = dataset.plate(plate_id)
        with suppress(*UNREADABLE):
            if not plate.source_change():
                found[plate_id] = plate.source_sha256()
    return found
