"""The loop of every plate asset: one event for each plate as it ends, a check, progress, and at the end what failed."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from atlas_assets.graph._metadata import dagster_metadata
from atlas_assets.graph.dagster_internals import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
    SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION,
    AssetMaterializationPlannedData,
    DagsterEvent,
)
from atlas_assets.graph.plate_checks import PlateChecks

# A step whose process was killed, as when memory ran out, is tried once more and reuses what it had sealed. Plates that
# failed are not tried again (see `_failure_of`), and Dagster's run retries only start killed runs again.
STEP_RETRIES = dg.RetryPolicy(max_retries=1)
PROGRESS_SECONDS = 5.0


class PlateRun(dg.Config):
    """What may be asked of one run over plates."""

    force: bool = Field(default=False, description="Measure plates that are done again, under a new run id.")
    paranoid: bool = Field(default=False, description="Hash weights again, even those whose digest is remembered.")
    plates: list[str] = Field(
        default=[],
        description="A work list: any plates in one run, also if others are between them. Empty: the run's partitions.",
    )


@dataclass(frozen=True)
class PlateResult:
    """How one plate ended.

    Attributes:
        plate_id: the plate.
        status: `reused` if it was done already.
        reason: why it failed, in one line.
        data_version: of what was made.
        metadata: what the UI shows, for each asset of the step in turn.
        findings: what the check `sound` finds wrong, a line each; evaluated once the plate is materialised.
    """

    plate_id: str
    status: Literal["complete", "reused", "failed"]
    reason: str = ""
    data_version: str = ""
    metadata: Sequence[Mapping[str, Any]] = ()
    findings: Iterable[str] = ()


class PlateStep:
    """One step over plates, of one asset or of several that are made together."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        config: PlateRun,
        keys: Sequence[dg.AssetKey],
        *,
        code_version: str,
        upstream: Sequence[dg.AssetKey] = (),
        is_checked: bool = True,
    ):
        """Reads from Dagster what the plates' inputs are now.

        Args:
            context: the step's.
            config: which plates, and how.
            keys: the assets.
            code_version: of the assets.
            upstream: the assets that these read.
            is_checked: whether the last asset has the check `sound`.
        """
        self.context = context
        self.keys = keys
        self.plate_ids = list(dict.fromkeys(config.plates)) or list(context.partition_keys)
        self._events = [
            _PlateEvents(context, key, code_version, plate_ids=self.plate_ids, upstream=upstream) for key in keys
        ]
        self._checks = PlateChecks(context, keys[-1]) if is_checked else None

    def events(self, results: Iterable[PlateResult]) -> Iterator[Any]:
        """The events of each plate as it ends. Raises a Failure at the end if plates failed."""
        progress, failed = _Progress(self.context, len(self.plate_ids)), []
        for result in results:
            progress.add(result)
            if result.status == "failed":
                failed.append((result.plate_id, result.reason))
                continue
            for events, metadata in zip(self._events, result.metadata, strict=True):
                yield events.materialized(result.plate_id, result.data_version, dagster_metadata(metadata))
            if self._checks:
                yield from self._checks.evaluated(result.plate_id, result.findings)
        progress.log()
        if self._checks:
            yield from self._checks.concluded()
        if failed:
            raise _failure_of(self.context, self.keys, failed, len(self.plate_ids))
        yield from map(_step_output, self.keys)


class _Progress:
    """Logs every few seconds how far the step is."""

    def __init__(self, context: dg.AssetExecutionContext, asked: int):
        self.context = context
        self.asked = asked
        self.counts = {"complete": 0, "reused": 0, "failed": 0}
        self.started = self.logged = time.monotonic()

    def add(self, result: PlateResult) -> None:
        """Counts a plate, and logs at once why one failed."""
        self.counts[result.status] += 1
        if result.status == "failed":
            self.context.log.error(f"{result.plate_id}: {result.reason}")
        if time.monotonic() - self.logged >= PROGRESS_SECONDS:
            self.log()

    def log(self) -> None:
        """Logs the counts so far."""
        self.logged = time.monotonic()
        rate = self.counts["complete"] / max(self.logged - self.started, 1e-9)
        counts = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        self.context.log.info(f"{sum(self.counts.values())} of {self.asked} plates: {counts}; {rate:.1f} plates/s")


class _PlateEvents:
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


def _step_output(key: dg.AssetKey) -> dg.MaterializeResult:
    """The step's output, without a second event for each plate.

    Dagster silently skips what is downstream in the same run of a step that yields events and no output. An ordinary
    output would mark every plate of the run as materialised, failed ones too. The marker is Dagster's own for steps
    that log their events themselves.
    """
    return dg.MaterializeResult(asset_key=key, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})


def _failure_of(
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
