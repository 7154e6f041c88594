"""The events of one plate of an asset: planned, materialised, or failed with the reason."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from atlas_assets.graph.dagster_internals import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
    AssetMaterializationPlannedData,
    DagsterEvent,
)
from atlas_resources.run_launcher import HOST_TAG


class PlateEvents:
    """Builds the events of one asset, with the tags that make staleness per plate right."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        key: dg.AssetKey,
        code_version: str,
        *,
        plate_ids: Sequence[str],
        upstream: Sequence[dg.AssetKey] = (),
    ):
        """Reads what the plates' inputs are now, and tells Dagster which plates the step will make.

        Dagster knows the plates of a run over partitions, but not those of a work list. Each is recorded as planned:
        the UI shows it as being made, and as failed if the run ends without it. A run of a terminal, which has progress
        of its own, records only plates that fail: an event is a third of a plate's cost in Dagster.
        """
        self.key = key
        self.code_version = code_version
        self._input_tags = input_tags_by_plate(context.instance, upstream, plate_ids)
        self._context = context
        self._planned = set(context.partition_keys)
        if HOST_TAG not in context.run.tags:
            for plate_id in plate_ids:
                self._plan(plate_id)

    def materialized(self, plate_id: str, data_version: str, metadata: Mapping[str, Any]) -> dg.AssetMaterialization:
        """The event of a plate that is made."""
        versions, tags = (data_version, self.code_version), self._input_tags.get(plate_id, {})
        return materialization(self.key, plate_id, versions=versions, metadata=metadata, input_tags=tags)

    def failed(self, plate_id: str, reason: str) -> dg.AssetObservation:
        """Why a plate failed. The UI shows it on the plate's partition until the plate is materialised."""
        self._plan(plate_id)
        command = f"atlas run 'key:\"{self.key.to_user_string()}\"' --plates {plate_id}"
        return dg.AssetObservation(
            asset_key=self.key,
            partition=plate_id,
            description=reason,
            metadata={"failed": reason, "try_again": command},
        )

    def _plan(self, plate_id: str) -> None:
        """Records once that the step makes a plate."""
        if plate_id in self._planned:
            return
        self._planned.add(plate_id)
        planned = DagsterEvent.build_asset_materialization_planned_event(
            self._context.job_name,
            self._context.get_step_execution_context().step.key,
            AssetMaterializationPlannedData(self.key, partition=plate_id),
        )
        self._context.instance.report_dagster_event(planned, self._context.run.run_id)


def data_version(version: str, source_sha256: str) -> str:
    """The data version of a plate's result: it is another one for another version of the code or another source."""
    return f"{version}-{source_sha256[:16]}"


def materialization(
    key: dg.AssetKey,
    plate_id: str,
    *,
    versions: tuple[str, str],
    metadata: Mapping[str, Any],
    input_tags: Mapping[str, str],
) -> dg.AssetMaterialization:
    """The event of a plate that is made, with the tags that make its staleness right.

    Args:
        key: the asset.
        plate_id: the plate.
        versions: of the data and of the code.
        metadata: what the UI shows.
        input_tags: of the plate's inputs, from `input_tags_by_plate`.
    """
    data_version, code_version = versions
    tags = {DATA_VERSION_TAG: data_version, CODE_VERSION_TAG: code_version, **input_tags}
    return dg.AssetMaterialization(asset_key=key, partition=plate_id, metadata=metadata, tags=tags)


def input_tags_by_plate(
    instance: dg.DagsterInstance, upstream: Sequence[dg.AssetKey], plate_ids: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Data version and event of each upstream asset, per plate, as they are when the step begins.

    Two queries an asset.
    """
    storage = instance.event_log_storage
    event_type = dg.DagsterEventType.ASSET_MATERIALIZATION
    tags: dict[str, dict[str, str]] = {plate_id: {} for plate_id in plate_ids}
    for key in upstream:
        name = key.to_user_string()
        pointers = storage.get_latest_storage_id_by_partition(key, event_type, set(plate_ids))
        versions = storage.get_latest_tags_by_partition(key, event_type, [DATA_VERSION_TAG], list(plate_ids))
        for plate_id in plate_ids:
            version = versions.get(plate_id, {}).get(DATA_VERSION_TAG)
            if version is not None and plate_id in pointers:
                tags[plate_id][f"{INPUT_DATA_VERSION_TAG_PREFIX}/{name}"] = version
                tags[plate_id][f"{INPUT_EVENT_POINTER_TAG_PREFIX}/{name}"] = str(pointers[plate_id])
    return tags
