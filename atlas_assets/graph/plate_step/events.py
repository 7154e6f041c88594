"""The events of one partition of an asset: planned, materialised, or failed with the plate and the reason."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from atlas_assets.graph._metadata import dagster_metadata
from atlas_assets.graph.dagster_internals import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
    AssetMaterializationPlannedData,
    DagsterEvent,
)
from atlas_assets.graph.plate_step.partition import Parts, Whole
from atlas_resources.run_launcher import HOST_TAG


class PlateEvents:
    """Builds the events of one asset, with the tags that make staleness of each partition right."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        key: dg.AssetKey,
        code_version: str,
        parts: Parts,
        *,
        upstream: Sequence[dg.AssetKey] = (),
    ):
        """Reads what the partitions' inputs are now, and tells Dagster which partitions the step will make.

        Dagster knows the plates of a run over partitions, but not those of a work list. Each is recorded as planned:
        the UI shows it as being made, and as failed if the run ends without it. A run of a terminal, which has progress
        of its own, records only plates that fail: an event is a third of a plate's cost in Dagster. So does a run over
        shards: it may have some of a shard's plates, and would show the shard as failed if another one fails.
        """
        self.key = key
        self.code_version = code_version
        self._input_tags = input_tags_by_partition(context.instance, upstream, parts.keys)
        self._context = context
        self._has_many = parts.partitions.has_many
        self._planned = set(context.partition_keys)
        if HOST_TAG not in context.run.tags and not self._has_many:
            for partition in parts.keys:
                self._plan(partition)

    def materialized(self, whole: Whole, metadata: Mapping[str, Any]) -> dg.AssetMaterialization:
        """The event of a partition that is done."""
        partition = whole.part.key
        return materialization(
            self.key,
            partition,
            versions=(whole.data_version, self.code_version),
            metadata=dagster_metadata(metadata),
            input_tags=self._input_tags.get(partition, {}),
        )

    def failed(self, partition: str, plate_id: str, reason: str) -> dg.AssetObservation:
        """Why a plate failed. The UI shows it on the plate's partition until the partition is materialised."""
        self._plan(partition)
        command = f"atlas run 'key:\"{self.key.to_user_string()}\"' --plates {plate_id}"
        named = {"plate": plate_id} if self._has_many else {}
        return dg.AssetObservation(
            asset_key=self.key,
            partition=partition,
            description=f"{plate_id}: {reason}" if self._has_many else reason,
            metadata={**named, "failed": reason, "try_again": command},
        )

    def not_done(self, whole: Whole) -> dg.AssetObservation:
        """How much of a partition is done, of one that is not whole although no plate of the step failed."""
        shown = whole.progress()
        before = f"; {shown['failed_before']} of them failed before" if shown["failed_before"] else ""
        return dg.AssetObservation(
            asset_key=self.key,
            partition=whole.part.key,
            description=f"plates done: {shown['done']}; not done: {shown['not_done']}{before}",
            metadata=dagster_metadata(shown),
        )

    def _plan(self, partition: str) -> None:
        """Records once that the step makes a partition."""
        if partition in self._planned:
            return
        self._planned.add(partition)
        planned = DagsterEvent.build_asset_materialization_planned_event(
            self._context.job_name,
            self._context.get_step_execution_context().step.key,
            AssetMaterializationPlannedData(self.key, partition=partition),
        )
        self._context.instance.report_dagster_event(planned, self._context.run.run_id)


def data_version(version: str, source_sha256: str) -> str:
    """The data version of a plate's result: it is another one for another version of the code or another source."""
    return f"{version}-{source_sha256[:16]}"


def materialization(
    key: dg.AssetKey,
    partition: str,
    *,
    versions: tuple[str, str],
    metadata: Mapping[str, Any],
    input_tags: Mapping[str, str],
) -> dg.AssetMaterialization:
    """The event of a partition that is made, with the tags that make its staleness right.

    Args:
        key: the asset.
        partition: the partition.
        versions: of the data and of the code.
        metadata: what the UI shows.
        input_tags: of the partition's inputs, from `input_tags_by_partition`.
    """
    data_version, code_version = versions
    tags = {DATA_VERSION_TAG: data_version, CODE_VERSION_TAG: code_version, **input_tags}
    return dg.AssetMaterialization(asset_key=key, partition=partition, metadata=metadata, tags=tags)


def input_tags_by_partition(
    instance: dg.DagsterInstance, upstream: Sequence[dg.AssetKey], partitions: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Data version and event of each upstream asset, per partition, as they are when the step begins.

    Two queries an asset.
    """
    storage = instance.event_log_storage
    event_type = dg.DagsterEventType.ASSET_MATERIALIZATION
    tags: dict[str, dict[str, str]] = {partition: {} for partition in partitions}
    for key in upstream:
        name = key.to_user_string()
        pointers = storage.get_latest_storage_id_by_partition(key, event_type, set(partitions))
        versions = storage.get_latest_tags_by_partition(key, event_type, [DATA_VERSION_TAG], list(partitions))
        for partition in partitions:
            version = versions.get(partition, {}).get(DATA_VERSION_TAG)
            if version is not None and partition in pointers:
                tags[partition][f"{INPUT_DATA_VERSION_TAG_PREFIX}/{name}"] = version
                tags[partition][f"{INPUT_EVENT_POINTER_TAG_PREFIX}/{name}"] = str(pointers[partition])
    return tags
