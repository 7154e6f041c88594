"""The loop over the plates of a step, and what may be asked of it."""

import errno
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import Any

import dagster as dg
from pydantic import Field

from atlas_assets.graph.dagster_internals import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from atlas_assets.graph.partitions import BY_PLATE, Partitions
from atlas_assets.graph.plate_step.checks import PlateChecks
from atlas_assets.graph.plate_step.events import PlateEvents
from atlas_assets.graph.plate_step.partition import Part, Parts, PlateResult, ReadOthers, Whole
from atlas_assets.ui.metadata import markdown_list
from atlas_resources.models.memory import DeviceLost

# A step whose process was killed, as when memory ran out, or whose disk failed, is tried once more and reuses what it
# had sealed. Nothing else is: a plate that failed, weights that are missing or a device that is not there would fail in
# the same way. Dagster's run retries only start killed runs again.
STEP_RETRIES = dg.RetryPolicy(max_retries=1)
PASSING_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN}
PROGRESS_SECONDS = 5.0
PROGRESS_TAG = "atlas/progress"


class PlateRun(dg.Config):
    """What may be asked of one run over plates."""

    force: bool = Field(default=False, description="Measure plates that are done again, under a new run id.")
    paranoid: bool = Field(default=False, description="Hash weights again, even those whose digest is remembered.")
    plates: list[str] = Field(
        default=[],
        description="A work list: any plates in one run, also if others are between them. Empty: the run's partitions.",
    )

    def plate_ids(self, context: dg.AssetExecutionContext, partitions: Partitions) -> list[str]:
        """The plates of the work list, each once, else those of the run's partitions."""
        if self.plates:
            return list(dict.fromkeys(self.plates))
        found = partitions.plates_of(context.partition_keys)
        return [plate_id for plate_ids in found.values() for plate_id in plate_ids]


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
        partitions: Partitions = BY_PLATE,
        read_others: ReadOthers | None = None,
    ):
        """Reads from Dagster what the plates' inputs are now.

        Args:
            context: the step's.
            config: which plates, and how.
            keys: the assets.
            code_version: of the assets.
            upstream: the assets that these read.
            is_checked: whether the last asset has the check `sound`.
            partitions: what Dagster's partitions are.
            read_others: reads what the disk has of plates that the step is not asked for, for partitions of several.
        """
        self.context = context
        self.keys = keys
        self.plate_ids = config.plate_ids(context, partitions)
        self._parts = Parts(self.plate_ids, partitions, read_others)
        if context.has_partition_key and self._parts.keys != [context.partition_key]:
            raise dg.Failure(
                f"the run is of the partition {context.partition_key} alone, and its configuration lists other plates. "
                "Fix: leave `plates` empty, or launch the run over a range of partitions",
                allow_retries=False,
            )
        self._events = [PlateEvents(context, key, code_version, self._parts, upstream=upstream) for key in keys]
        self._checks = PlateChecks(context, keys[-1], partitions) if is_checked else None

    def events(self, results: Iterable[PlateResult]) -> Iterator[Any]:
        """The events of each partition as its last plate ends, and of each plate that fails; a withdrawn one has none.

        Raises a Failure at the end if plates failed, or if all are withdrawn.
        """
        progress, failed, withdrawn = _Progress(self.context, self.keys, len(self.plate_ids)), [], []
        for result in _once(results):
            progress.add(result)
            if result.status == "failed":
                failed.append((result.plate_id, result.reason))
                yield from self._failed(result)
            elif result.status == "withdrawn":
                withdrawn.append(result.reason)
            for part in self._parts.ended(result):
                yield from self._ended(part)
        progress.show()
        if self._checks:
            yield from self._checks.concluded()
        if failed:
            raise self._failure_of(failed)
        if withdrawn and len(withdrawn) == len(self.plate_ids):
            raise dg.Failure("\n".join(withdrawn), allow_retries=False)
        yield from map(_step_output, self.keys)

    def _failed(self, result: PlateResult) -> Iterator[Any]:
        """Why a plate failed. One that is in no partition is named in the step's failure only."""
        if partition := self._parts.key_of.get(result.plate_id):
            yield from (events.failed(partition, result.plate_id, result.reason) for events in self._events)

    def _ended(self, part: Part) -> Iterator[Any]:
        """A partition is materialised once all its plates are done, whichever run made them."""
        with _tried_once():
            whole = Whole(part, self._parts.others(part), self._parts.partitions)
            shown = whole.metadata() if whole.is_done else ()
        if whole.is_done:
            for events, metadata in zip(self._events, shown, strict=True):
                yield events.materialized(whole, metadata)
        elif part.made and not part.has_failed:
            yield from (events.not_done(whole) for events in self._events)
        if self._checks and part.made:
            yield from self._checks.evaluated(part)

    def _failure_of(self, failed: Sequence[tuple[str, str]]) -> dg.Failure:
        """The end of a step some of whose plates failed: names each with its reason. It is not tried again."""
        asked, done = len(self.plate_ids), "done" if self._parts.partitions.has_many else "materialised"
        others = f"; the others are {done}" if len(failed) < asked else ""
        lines = [f"{plate_id}: {reason}" for plate_id, reason in failed]
        return dg.Failure(
            description="\n".join([f"{len(failed)} of {asked} plates failed{others}.", *lines]),
            metadata={"failed_plates": dg.MetadataValue.md(markdown_list(lines)), "failed_count": len(failed)},
            allow_retries=False,
        )


def _once(results: Iterable[PlateResult]) -> Iterator[PlateResult]:
    """The same results; an error that would be the same the next time is a Failure that Dagster does not retry."""
    with _tried_once():
        yield from results


@contextmanager
def _tried_once() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Dagster would start the step again, and it would meet the same error
        if isinstance(error, dg.Failure) or (isinstance(error, OSError) and error.errno in PASSING_ERRORS):
            raise
        # A lost GPU is found again by a new process only, which Dagster may start for each step.
        has_new_process = isinstance(error, DeviceLost) and parent_process() is not None
        raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=has_new_process) from error


class _Progress:
    """Shows every few seconds how far the step is: a line of the log, and a tag of the run."""

    def __init__(self, context: dg.AssetExecutionContext, keys: Sequence[dg.AssetKey], asked: int):
        self.context = context
        self.name = keys[-1].to_user_string()
        self.asked = asked
        self.counts = {"complete": 0, "reused": 0, "failed": 0, "withdrawn": 0}
        self.started = time.monotonic()
        self.show()

    def add(self, result: PlateResult) -> None:
        """Counts a plate, and logs at once why one failed or is left out."""
        self.counts[result.status] += 1
        if result.status == "withdrawn":
            self.context.log.warning(result.reason)
        if result.status == "failed":
            self.context.log.error(f"{result.plate_id}: {result.reason}")
        if time.monotonic() - self.shown >= PROGRESS_SECONDS:
            self.show()

    def show(self) -> None:
        """Logs the counts so far, and puts them into the run's tag in place of the last ones."""
        self.shown = time.monotonic()
        ended, failed = sum(self.counts.values()), self.counts["failed"]
        text = f"{ended} of {self.asked} plates{f', {failed} failed' if failed else ''}: {self.name}"
        self.context.instance.add_run_tags(self.context.run.run_id, {PROGRESS_TAG: text})
        if ended:
            rate = self.counts["complete"] / max(self.shown - self.started, 1e-9)
            shown = {status: number for status, number in self.counts.items() if number or status != "withdrawn"}
            counts = ", ".join(f"{number} {status}" for status, number in shown.items())
            self.context.log.info(f"{ended} of {self.asked} plates: {counts}; {rate:.1f} plates/s")


def _step_output(key: dg.AssetKey) -> dg.MaterializeResult:
    """The step's output, without a second event for each plate.

    Dagster silently skips what is downstream in the same run of a step that yields events and no output. An ordinary
    output would mark every plate of the run as materialised, failed ones too. The marker is Dagster's own for steps
    that log their events themselves.
    """
    return dg.MaterializeResult(asset_key=key, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})
