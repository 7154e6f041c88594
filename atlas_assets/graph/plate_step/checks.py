"""The check `sound` of each plate asset: a verdict for each plate, and one over all plates of the library."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.graph.dagster_internals import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
    PartitionKeyFilter,
)
from atlas_assets.graph.partitions import BY_PLATE, PLATES, Partitions, known_partitions
from atlas_assets.graph.plate_step.partition import Part
from atlas_assets.ui.metadata import markdown_list, summary

CHECK_NAME = "sound"
FIX = "Delete the plate's run folder and materialise the plate again; restore a source that changed."
SHOWN = 20
MOST_RECORDS = 1000
UNSOUND_PLATES = "unsound_plates"
"""In the metadata of a verdict on a shard: every plate that it is not sound for."""
FAILED, SUCCEEDED = AssetCheckExecutionRecordStatus.FAILED, AssetCheckExecutionRecordStatus.SUCCEEDED


def sound_spec(
    key: dg.AssetKey, description: str, definition: dg.DynamicPartitionsDefinition = PLATES
) -> dg.AssetCheckSpec:
    """The check as the asset declares it. The UI shows its verdict on each partition under Checks, Partitions."""
    return dg.AssetCheckSpec(
        CHECK_NAME,
        asset=key,
        description=f"{description} Fails while any plate of the library is unsound, and names it.",
        partitions_def=definition,
    )


class PlateChecks:
    """What the check finds, partition by partition, as events for the asset's step to yield.

    Dagster (1.13) shows the latest event of a check as its state. The last event of a step is therefore a verdict on
    the library: it fails while any plate is unsound, whichever run found that.
    """

    def __init__(self, context: dg.AssetExecutionContext, key: dg.AssetKey, partitions: Partitions = BY_PLATE):
        self.context = context
        self.key = key
        self._partitions = partitions
        self.unsound: dict[str, list[str]] = {}
        self._checked: set[str] = set()
        self._of_partition: dict[str, list[str]] = {}

    def evaluated(self, part: Part) -> Iterator[dg.AssetCheckEvaluation]:
        """The verdict on a partition: on the plates that the step made, and on those that were unsound before."""
        looked = {result.plate_id: self._look(result.plate_id, result.findings) for result in part.made}
        self._checked.update(looked)
        unsound = {plate_id: lines for plate_id, lines in looked.items() if lines}
        self.unsound.update(unsound)
        lines = [line for found in unsound.values() for line in found]
        self._of_partition[part.key] = lines
        if not self._partitions.has_many:
            yield self._event(part.key, lines)
            return
        before = sorted(self._unsound_before.get(part.key, set()) - looked.keys()) if part.others() else []
        lines += map(_not_checked_since, before)
        counts: dict[str, Any] = {"plates": len(looked), "unsound": len(unsound), "unsound_before": len(before)}
        yield self._event(part.key, lines[:SHOWN], counts | ({UNSOUND_PLATES: [*unsound, *before]} if lines else {}))

    def _look(self, plate_id: str, findings: Iterable[str]) -> list[str]:
        """What is wrong with a plate, logged. A file that cannot be read is a finding."""
        try:
            lines = list(islice(findings, SHOWN))
        except (OSError, ValueError, LookupError, pl.exceptions.PolarsError) as error:
            lines = [f"{plate_id}: {type(error).__name__}: {error}"]
        for line in lines:
            self.context.log.error(f"unsound: {line}")
        return lines

    @cached_property
    def _unsound_before(self) -> dict[str, set[str]]:
        """The unsound plates of each partition, as they were when this was first asked."""
        return unsound_by_partition(self.context.instance, self.key, self._partitions)

    def concluded(self) -> Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
        """The verdict on the library.

        Dagster requires a result of the step. In a run of one partition it records the result as that partition's, so
        that the verdict on the library is an event of its own.
        """
        if self.context.has_partition_key:
            lines = self._of_partition.get(self.context.partition_key, [])
            yield dg.AssetCheckResult(
                asset_key=self.key,
                check_name=CHECK_NAME,
                passed=not lines,
                description=summary(lines),
                metadata=_metadata(lines),
            )
            yield self._event(None, self._wrong(), self._counts())
        else:
            wrong = self._wrong()
            yield dg.AssetCheckResult(
                asset_key=self.key,
                check_name=CHECK_NAME,
                passed=not wrong,
                description=summary(wrong),
                metadata={**self._counts(), **_metadata(wrong)},
            )

    def _counts(self) -> dict[str, int]:
        return {"plates": len(self._checked), "unsound": len(self.unsound), "unsound_before": len(self._before())}

    def _wrong(self) -> list[str]:
        """What this step found, then plates that an earlier run found unsound and this one did not look at."""
        found = [line for lines in self.unsound.values() for line in lines][:SHOWN]
        before = self._before()
        return [*found, *map(_not_checked_since, before[:SHOWN])]

    def _before(self) -> list[str]:
        return sorted(unsound_plates(self.context.instance, self.key, self._partitions) - self._checked)

    def _event(
        self, partition: str | None, lines: list[str], counts: Mapping[str, Any] | None = None
    ) -> dg.AssetCheckEvaluation:
        return dg.AssetCheckEvaluation(
            asset_key=self.key,
            check_name=CHECK_NAME,
            passed=not lines,
            severity=dg.AssetCheckSeverity.ERROR,
            description=summary(lines),
            metadata={**(counts or {}), **_metadata(lines)},
            partition=partition,
        )


def unsound_plates(instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Partitions = BY_PLATE) -> set[str]:
    """The plates whose latest verdict is that they are unsound. Plates without a partition are left out.

    A plate that was asked for and failed has no new verdict, and keeps the last one.
    """
    return set().union(*unsound_by_partition(instance, key, partitions).values())


def unsound_by_partition(instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Partitions) -> dict[str, set[str]]:
    """The unsound plates of each partition whose latest verdict names any."""
    storage, check_key = instance.event_log_storage, dg.AssetCheckKey(key, CHECK_NAME)
    failed = storage.get_asset_check_execution_history(check_key, limit=MOST_RECORDS, status={FAILED})
    known = set(known_partitions(instance, partitions))
    unsound: dict[str, set[str]] = {}
    for partition in known & {record.partition for record in failed}:
        (latest,) = storage.get_asset_check_execution_history(
            check_key, limit=1, status={FAILED, SUCCEEDED}, partition_filter=PartitionKeyFilter(key=partition)
        )
        if latest.status == FAILED:
            unsound[partition] = _named_in(latest) or {partition}
    return unsound


def _named_in(record: AssetCheckExecutionRecord) -> set[str]:
    """The plates that a verdict on several names."""
    event = record.event.dagster_event if record.event else None
    named = event.asset_check_evaluation_data.metadata.get(UNSOUND_PLATES) if event else None
    return set(named.value) if isinstance(named, dg.JsonMetadataValue) and isinstance(named.value, list) else set()


def _not_checked_since(plate_id: str) -> str:
    return f"{plate_id}: found unsound by an earlier run, and not checked since"


def _metadata(lines: list[str]) -> dict[str, dg.MetadataValue]:
    if not lines:
        return {}
    return {"wrong": dg.MetadataValue.md(markdown_list(lines)), "fix": dg.MetadataValue.text(FIX)}
