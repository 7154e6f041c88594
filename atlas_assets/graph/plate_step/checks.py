"""The check `sound` of each plate asset, recorded for each plate as it is made or reused."""

from collections.abc import Iterable, Iterator
from itertools import islice

import dagster as dg
import polars as pl

CHECK_NAME = "sound"
FIX = "Delete the plate's run folder and materialise the plate again; restore a source that changed."
SHOWN = 20


def sound_spec(key: dg.AssetKey, description: str) -> dg.AssetCheckSpec:
    """The check as the asset declares it."""
    return dg.AssetCheckSpec(CHECK_NAME, asset=key, description=f"{description} Recorded per plate.")


class PlateChecks:
    """What the check finds, plate by plate, as events for the asset's step to yield.

    Dagster (1.13) shows the latest event as the check's state, so the events of unsound plates come last.
    """

    def __init__(self, context: dg.AssetExecutionContext, key: dg.AssetKey):
        self.context = context
        self.key = key
        self.plates_count = 0
        self.unsound: dict[str, list[str]] = {}

    def evaluated(self, plate_id: str, findings: Iterable[str]) -> Iterator[dg.AssetCheckEvaluation]:
        """The event of a plate in which nothing is found. A file that cannot be read is a finding."""
        try:
            lines = list(islice(findings, SHOWN))
        except (OSError, ValueError, LookupError, pl.exceptions.PolarsError) as error:
            lines = [f"{plate_id}: {type(error).__name__}: {error}"]
        self.plates_count += 1
        for line in lines:
            self.context.log.error(f"unsound: {line}")
        if lines:
            self.unsound[plate_id] = lines
        else:
            yield self._event(plate_id, lines)

    def concluded(self) -> Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
        """The events of unsound plates, and the result over all plates of the run."""
        for plate_id, lines in self.unsound.items():
            yield self._event(plate_id, lines)
        wrong = [line for lines in self.unsound.values() for line in lines]
        yield dg.AssetCheckResult(
            asset_key=self.key,
            check_name=CHECK_NAME,
            passed=not wrong,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"plates": self.plates_count, "unsound": len(self.unsound), **_metadata(wrong[:SHOWN])},
        )

    def _event(self, plate_id: str, lines: list[str]) -> dg.AssetCheckEvaluation:
        return dg.AssetCheckEvaluation(
            asset_key=self.key,
            check_name=CHECK_NAME,
            passed=not lines,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=_metadata(lines),
            partition=plate_id,
        )


def _metadata(lines: list[str]) -> dict[str, dg.MetadataValue]:
    if not lines:
        return {}
    wrong = "\n".join(f"- {line}" for line in lines)
    return {"wrong": dg.MetadataValue.md(wrong), "fix": dg.MetadataValue.text(FIX)}
