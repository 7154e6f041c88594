"""The check `sound` of each plate asset: a verdict for each plate, and one over all plates of the library."""

from collections.abc import Iterable, Iterator
from itertools import islice

import dagster as dg
import polars as pl

from atlas_assets.graph.dagster_internals import AssetCheckExecutionRecordStatus, PartitionKeyFilter
from atlas_assets.graph.partitions import PLATES, PLATES_NAME
from atlas_assets.ui.metadata import markdown_list, summary

CHECK_NAME = "sound"
FIX = "Delete the plate's run folder and materialise the plate again; restore a source that changed."
SHOWN = 20
MOST_RECORDS = 1000
FAILED, SUCCEEDED = AssetCheckExecutionRecordStatus.FAILED, AssetCheckExecutionRecordStatus.SUCCEEDED


def sound_spec(key: dg.AssetKey, description: str) -> dg.AssetCheckSpec:
    """The check as the asset declares it. The UI shows its verdict on each plate under Checks, Partitions."""
    return dg.AssetCheckSpec(
        CHECK_NAME,
        asset=key,
        description=f"{description} Fails while any plate of the library is unsound, and names it.",
        partitions_def=PLATES,
    )


class PlateChecks:
    """What the check finds, plate by plate, as events for the asset's step to yield.

    Dagster (1.13) shows the latest event of a check as its state. The last event of a step is therefore a verdict on
    the library: it fails while any plate is unsound, whichever run found that.
    """

    def __init__(self, context: dg.AssetExecutionContext, key: dg.AssetKey):
        self.context = context
        self.key = key
        self.unsound: dict[str, list[str]] = {}
        self._checked: set[str] = set()

    def evaluated(self, plate_id: str, findings: Iterable[str]) -> Iterator[dg.AssetCheckEvaluation]:
        """The verdict on a plate. A file that cannot be read is a finding."""
        try:
            lines = list(islice(findings, SHOWN))
        except (OSError, ValueError, LookupError, pl.exceptions.PolarsError) as error:
            lines = [f"{plate_id}: {type(error).__name__}: {error}"]
        self._checked.add(plate_id)
        for line in lines:
            self.context.log.error(f"unsound: {line}")
        if lines:
            self.unsound[plate_id] = lines
        yield self._event(plate_id, lines)

    def concluded(self) -> Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
        """The verdict on the library.

        Dagster requires a result of the step. In a run of one partition it records the result as that partition's, so
        that the verdict on the library is an event of its own.
        """
        if self.context.has_partition_key:
            lines = self.unsound.get(self.context.partition_key, [])
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
        found += [f"{plate_id}: found unsound by an earlier run, and not checked since" for plate_id in before[:SHOWN]]
        return found

    def _before(self) -> list[str]:
        return sorted(unsound_plates(self.context.instance, self.key) - self._checked)

    def _event(
        self, plate_id: str | None, lines: list[str], counts: dict[str, int] | None = None
    ) -> dg.AssetCheckEvaluation:
        return dg.AssetCheckEvaluation(
            asset_key=self.key,
            check_name=CHECK_NAME,
            passed=not lines,
            severity=dg.AssetCheckSeverity.ERROR,
            description=summary(lines),
            metadata={**(counts or {}), **_metadata(lines)},
            partition=plate_id,
        )


def unsound_plates(instance: dg.DagsterInstance, key: dg.AssetKey) -> set[str]:
    """The plates whose latest verdict is that they are unsound. Plates without a partition are left out.

    A plate that was asked for and failed has no new verdict, and keeps the last one.
    """
    storage, check_key = instance.event_log_storage, dg.AssetCheckKey(key, CHECK_NAME)
    failed = storage.get_asset_check_execution_history(check_key, limit=MOST_RECORDS, status={FAILED})
    known = set(instance.get_dynamic_partitions(PLATES_NAME))
    unsound = set()
    for plate_id in {record.partition for record in failed} & known:
        (latest,) = storage.get_asset_check_execution_history(
            check_key, limit=1, status={FAILED, SUCCEEDED}, partition_filter=PartitionKeyFilter(key=plate_id)
        )
        if latest.status == FAILED:
            unsound.add(plate_id)
    return unsound


def _metadata(lines: list[str]) -> dict[str, dg.MetadataValue]:
    if not lines:
        return {}
    return {"wrong": dg.MetadataValue.md(markdown_list(lines)), "fix": dg.MetadataValue.text(FIX)}
