"""The loop of every plate asset: one event for each plate as it ends, a check, progress, and at the end what failed."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from atlas_assets.graph._events import PlateEvents, failure_of, step_output
from atlas_assets.graph._metadata import dagster_metadata
from atlas_assets.graph.plate_checks import PlateChecks

# A step whose process was killed, as when memory ran out, is tried once more and reuses what it had sealed. Plates that
# failed are not tried again (see `failure_of`), and Dagster's run retries only start killed runs again.
STEP_RETRIES = dg.RetryPolicy(max_retries=1)
PROGRESS_SECONDS = 5.0


class PlateRun(dg.Config):
    """What may be asked of one run over plates."""

    force: bool = Field(default=False, description="Measure plates that are done again, under a new run id.")
    paranoid: bool = Field(default=False, description="Hash weights again, even those whose digest is remembered.")
    plates: list[str] = Field(
        default=[],
        description="A work list: any plates, in one run, whatever is between them. Empty: the run's partitions.",
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
            PlateEvents(context, key, code_version, plate_ids=self.plate_ids, upstream=upstream) for key in keys
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
            raise failure_of(self.context, self.keys, failed, len(self.plate_ids))
        yield from map(step_output, self.keys)


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
