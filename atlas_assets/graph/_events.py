"""What a step over plates tells Dagster: an event for each plate, an output, and at the end what failed."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from atlas_assets.graph.dagster_internals import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
    SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION,
    AssetMaterializationPlannedData,
    DagsterEvent,
)


class PlateEvents:
    """Builds the materialisation of each plate of one asset, with the tags that make staleness per plate right."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        key: dg.AssetKey,
        code_version: str,
        *,
        plate_ids: Sequence[str],
        upstream: Sequence[dg.AssetKey] = (),
    ):
        self.key = key
        self.code_version = code_version
        self._input_tags = _input_tags_by_plate(context.instance, upstream, plate_ids)

    def materialized(self, plate_id: str, data_version: str, metadata: Mapping[str, Any]) -> dg.AssetMaterialization:
        """The event of one plate."""
        return dg.AssetMaterialization(
            asset_key=self.key,
            partition=plate_id,
            metadata=metadata,
            tags={
                DATA_VERSION_TAG: data_version,
                CODE_VERSION_TAG: self.code_version,
                **self._input_tags.get(plate_id, {}),
            },
        )


def _input_tags_by_plate(
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


def step_output(key: dg.AssetKey) -> dg.MaterializeResult:
    """The step's output, without a second event for each plate.

    Dagster silently skips what is downstream in the same run of a step that yields events and no output. An ordinary
    output would mark every plate of the run as materialised, failed ones too. The marker is Dagster's own for steps
    that log their events themselves.
    """
    return dg.MaterializeResult(asset_key=key, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})


def failure_of(
    context: dg.AssetExecutionContext, keys: Sequence[dg.AssetKey], failed: Sequence[tuple[str, str]], asked: int
) -> dg.Failure:
    """The end of a step some of whose plates failed: names each with its reason. A retry computes only those.

    Dagster does not know the plates of a work list, and would show the failed ones as missing. Each is recorded as
    planned, which together with the run's failure shows it as failed.
    """
    unplanned = {plate_id for plate_id, _ in failed} - set(context.partition_keys)
    for key in keys:
        for plate_id in sorted(unplanned):
            planned = DagsterEvent.build_asset_materialization_planned_event(
                context.job_name,
                context.get_step_execution_context().step.key,
                AssetMaterializationPlannedData(key, partition=plate_id),
            )
            context.instance.report_dagster_event(planned, context.run.run_id)
    others = "; the others are materialised" if len(failed) < asked else ""
    lines = "\n".join(f"{plate_id}: {reason}" for plate_id, reason in failed)
    return dg.Failure(
        description=f"{len(failed)} of {asked} plates failed{others}.\n{lines}",
        metadata={
            "failed_plates": dg.MetadataValue.md(
                "\n".join(f"- **{plate_id}**: {reason}" for plate_id, reason in failed)
            ),
            "failed_count": len(failed),
        },
        allow_retries=False,
    )
