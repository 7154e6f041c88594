"""What a pass runs and what it reports: jobs, members that open them, and how each plate ended."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import StageSeconds, StructuredError
from atlas_resources.runs.stages import Stopwatch

Sealed = TypeVar("Sealed")
Sealed_co = TypeVar("Sealed_co", covariant=True)


class Job(Protocol[Sealed_co]):
    """How a plate is measured, and how its result is kept.

    Attributes:
        key: the name under which plates are claimed.
    """

    key: str

    def find_done(self, plate: Plate) -> Sealed_co | None:
        """What an earlier run sealed of the plate, or None if the plate is not done."""
        ...

    def prepare(self, plate: Plate, stopwatch: Stopwatch) -> Any:
        """Makes the input of `measure` from one plate. Called on threads, ahead of `measure`.

        Time counts as `preprocess` unless the job counts it as another stage. Pixels come from `read_source`, which
        other jobs of the pass share: they are read and never changed.
        """
        ...

    def measure(self, prepared: list[Any]) -> Sequence[Any | StructuredError]:
        """A result or an error for each prepared plate, in order."""
        ...

    def seal(self, plate: Plate, prepared: Any, result: Any, stopwatch: Stopwatch) -> Sealed_co:
        """Keeps the result, with the seconds that the plate took.

        A ValueError, or an OSError of the plate's own folder, is the plate's failure; another OSError ends the job.
        SealedByAnother has what another worker has kept instead.
        """
        ...

    def seal_failure(self, plate: Plate, error: StructuredError) -> Sealed_co | None:
        """Keeps the failure as evidence. Returns None if it cannot be kept."""
        ...

    def conclude(self, outcomes: "Sequence[PlateOutcome[Any]]") -> None:
        """Reports how the job ended, once every plate has its outcome.

        Args:
            outcomes: of all plates that were asked for, in the order in which they ended.
        """
        ...


@dataclass(frozen=True)
class PlateOutcome(Generic[Sealed]):
    """How one plate ended.

    Attributes:
        plate_id: the plate.
        status: `reused` if an earlier run had done the plate; `withdrawn` if the plate is withdrawn and not measured.
        sealed: what was kept of the plate, by this run or an earlier one; None if not even its failure could be kept.
        error: why the plate failed, or is not measured.
        seconds: what each stage took; None of a plate that this pass did not measure.
    """

    plate_id: str
    status: Literal["complete", "reused", "failed", "withdrawn"]
    sealed: Sealed | None
    error: StructuredError | None = None
    seconds: StageSeconds | None = field(default=None, compare=False)

    @property
    def reason(self) -> str:
        """Why the plate failed, in one line; empty if it did not."""
        if self.error is None:
            return ""
        return f"{self.error.type} ({self.error.stage}): {self.error.message.splitlines()[0]}"


@dataclass
class Timings:
    """Time spent, summed over plates, and the clock's reading at the start."""

    load_seconds: float = 0.0
    stages: StageSeconds = field(default_factory=lambda: Stopwatch().read())
    started_seconds: float = field(default_factory=time.perf_counter)

    def add(self, plate: StageSeconds) -> None:
        """Adds the seconds of one plate."""
        names = StageSeconds.model_fields
        self.stages = StageSeconds(**{name: getattr(self.stages, name) + getattr(plate, name) for name in names})


class Member(Protocol[Sealed]):
    """One of those that a pass measures plates for: a run of an instrument, or the groundwork.

    An error that any of its methods raises ends the member, and not the pass.

    Attributes:
        key: its name.
        version: fingerprint of the instrument, or version of the groundwork's measures.
        plates_at_once: how many plates its job measures together.
        is_forced: whether plates that are done are measured again.
        timings: what its plates cost.
    """

    key: str
    version: str
    plates_at_once: int
    is_forced: bool
    timings: Timings

    def settled(self, plate_ids: Sequence[str]) -> Iterator[PlateOutcome[Sealed]]:
        """The outcomes of the plates that need not be measured: withdrawn, done, or unreadable."""
        ...

    def opened(self, plate_ids: Sequence[str]) -> AbstractContextManager[Job[Sealed]]:
        """Loads what the job needs, for as long as the block runs. Not called if every plate is settled.

        Args:
            plate_ids: all plates that were asked for, settled or not.
        """
        ...


@dataclass(frozen=True)
class PlateEnded:
    """A plate has its outcome for one member of the pass.

    Attributes:
        key: the member.
        outcome: how the plate ended for it.
    """

    key: str
    outcome: PlateOutcome[Any]


@dataclass(frozen=True)
class MemberEnded:
    """A member of the pass is finished: every plate has its outcome, or an error ended it before.

    Attributes:
        key: the member.
        error: what ended it; None if every plate has its outcome.
    """

    key: str
    error: Exception | None
