"""The loop over plates: claim each, prepare ahead of the model, measure in batches, seal plate by plate.

Instruments and files are unknown here: a `Job` defines how a plate is measured and how its result is kept.
"""

import errno
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

import polars as pl

from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.models.memory import ModelLost
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import StageSeconds, StructuredError
from atlas_resources.runs.claims import Claim, claim_plate
from atlas_resources.runs.measuring import structured
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.withdrawals.in_force import PlateWithdrawn

PLATE_ERRORS = {
    *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTEMPTY),
}
"""What an unwritable, missing or odd folder of one plate gives."""

MOST_DEATHS = 3
"""After as many processes died with a plate, its failure is kept, and it is measured again only when it is retried."""

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

        Time counts as `preprocess` unless the job counts it as another stage.
        """
        ...

    def measure(self, prepared: list[Any]) -> Sequence[Any | StructuredError]:
        """A result or an error for each prepared plate, in order."""
        ...

    def seal(self, plate: Plate, prepared: Any, result: Any, stopwatch: Stopwatch) -> Sealed_co:
        """Keeps the result, with the seconds that the plate took.

        A ValueError, or an OSError of the plate's own folder, is the plate's failure; another OSError ends the loop.
        """
        ...

    def seal_failure(self, plate: Plate, error: StructuredError) -> Sealed_co | None:
        """Keeps the failure as evidence. Returns None if it cannot be kept."""
        ...


@dataclass(frozen=True)
class PlateOutcome(Generic[Sealed]):
    """How one plate ended.

    Attributes:
        plate_id: the plate.
        status: `reused` if an earlier run had done the plate; `withdrawn` if the plate is withdrawn and not measured.
        sealed: what was kept of the plate, by this run or an earlier one; None if not even its failure could be kept.
        error: why the plate failed, or is not measured.
    """

    plate_id: str
    status: Literal["complete", "reused", "failed", "withdrawn"]
    sealed: Sealed | None
    error: StructuredError | None = None

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


@dataclass(frozen=True)
class _Prepared:
    """A plate ready for `measure`, or why it is not.

    Attributes:
        plate_id: the plate's id, as given.
        plate: the plate; None if the id is not valid.
        claim: the right to measure the plate; None if another run holds it, or a process died with it.
        stopwatch: the time that the plate took so far.
        payload: what `prepare` returned.
        error: why the plate could not be prepared.
        done: what another process sealed of the plate meanwhile.
    """

    plate_id: str
    plate: Plate | None = None
    claim: Claim | None = None
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    payload: Any = None
    error: StructuredError | None = None
    done: Any = None

    @property
    def is_put_off(self) -> bool:
        """Whether the plate comes last."""
        return self.claim is None and self.error is None


class Batches(Generic[Sealed]):
    """Runs one job over its plates."""

    def __init__(self, dataset: Dataset, job: Job[Sealed], timings: Timings, *, is_forced: bool):
        self.dataset = dataset
        self.job = job
        self.timings = timings
        self.is_forced = is_forced
        self._claims: list[Claim] = []

    def outcomes(self, plate_ids: Sequence[str], batch_size: int) -> Iterator[PlateOutcome[Sealed]]:
        """Yields each plate's outcome as soon as it is sealed.

        Plates that another run holds come last, one by one, so that a run that waits for a plate holds no other. So do
        plates that a process died with: if one of them kills this process too, the others are done or not begun.
        """
        # Plates differ in size: with less than two for each thread, one large plate would leave the other thread idle.
        depth = max(batch_size + THREADS, 2 * THREADS)
        last = []
        try:
            for batch in _batches(ahead(self._prepare, plate_ids, depth), batch_size):
                last += [prepared.plate_id for prepared in batch if prepared.is_put_off]
                yield from self._finish([prepared for prepared in batch if not prepared.is_put_off])
            for plate_id in last:
                yield from self._finish([self._prepare(plate_id, wait=True)])
        finally:
            for claim in self._claims:
                claim.release()

    def _prepare(self, plate_id: str, wait: bool = False) -> _Prepared:
        try:
            plate = self.dataset.plate(plate_id)
            claim = claim_plate(plate, self.job.key, wait=wait)
        except (OSError, ValueError) as caught:
            return _Prepared(plate_id, error=structured(caught, "decode"))
        if claim is not None and claim.deaths and not wait:
            claim.put_off()
            claim = None
        if claim is None:
            return _Prepared(plate_id, plate)
        self._claims.append(claim)
        if claim.deaths >= MOST_DEATHS:
            return _Prepared(plate_id, plate, claim, error=_process_died(claim.deaths))
        stopwatch = Stopwatch()
        payload = error = done = None
        try:
            with stopwatch.stage("decode"):
                done = None if self.is_forced else self.job.find_done(plate)
            with stopwatch.stage("preprocess"):
                payload = self.job.prepare(plate, stopwatch) if done is None else None
        except Exception as caught:  # noqa: BLE001 - any error of a bad scan fails only this plate
            error = structured(caught, "decode")
        return _Prepared(plate_id, plate, claim, stopwatch, payload, error, done)

    def _finish(self, batch: list[_Prepared]) -> Iterator[PlateOutcome[Sealed]]:
        ready = [prepared for prepared in batch if prepared.error is None and prepared.done is None]
        started = time.perf_counter()
        measured = self._measure(ready)
        results = dict(zip((prepared.plate_id for prepared in ready), measured, strict=True))
        seconds = time.perf_counter() - started
        for prepared in ready:
            prepared.stopwatch.add("compute", seconds / len(ready))
        for prepared in batch:
            with prepared.stopwatch.stage("seal"):
                outcome = self._seal(prepared, prepared.error or results.get(prepared.plate_id))
                if prepared.claim is not None:
                    prepared.claim.release()
            self.timings.add(prepared.stopwatch.read())
            yield outcome

    def _measure(self, ready: list[_Prepared]) -> Sequence[Any | StructuredError]:
        """A result or an error for each plate. Raises ModelLost, which names the plates: none of them is sealed."""
        try:
            return self.job.measure([prepared.payload for prepared in ready])
        except ModelLost as error:
            names = ", ".join(prepared.plate_id for prepared in ready)
            raise type(error)(
                f"this process has lost {error.lost} while measuring {names}: {error}. These plates and those after "
                f"them are not measured, and none counts as failed. {error.fix} If the same plate ends "
                f"it each time, measure the others with --plates."
            ) from error

    def _seal(self, prepared: _Prepared, result: Any | StructuredError) -> PlateOutcome[Sealed]:
        """Seals a result or a failure.

        Rows that break their schema, and a folder that cannot be written, fail the plate. A full disk ends the run.
        """
        if prepared.done is not None:
            return PlateOutcome(prepared.plate_id, "reused", prepared.done)
        if prepared.plate is None:
            return PlateOutcome(prepared.plate_id, "failed", None, prepared.error)
        if not isinstance(result, StructuredError):
            try:
                sealed = self.job.seal(prepared.plate, prepared.payload, result, prepared.stopwatch)
                return PlateOutcome(prepared.plate_id, "complete", sealed)
            except (OSError, ValueError, pl.exceptions.PolarsError) as error:
                _require_of_plate(error)
                result = structured(error, "seal")
        try:
            failure = self.job.seal_failure(prepared.plate, result)
        except OSError as error:
            _require_of_plate(error)
            failure = None
        status = "withdrawn" if result.type == PlateWithdrawn.__name__ else "failed"
        return PlateOutcome(prepared.plate_id, status, failure, result)


def _process_died(deaths: int) -> StructuredError:
    message = (
        f"{deaths} processes died, one after another, while they measured it; most likely memory ran out. "
        "Fix: give the process more memory, or lower the instrument's batch_size, and run it again"
    )
    return StructuredError(stage="compute", type="ProcessDied", message=message, traceback="")


def _require_of_plate(error: Exception) -> None:
    """Raises an error of the disk, which would be that of every plate; returns if it is of one plate's folder."""
    if isinstance(error, OSError) and error.errno not in PLATE_ERRORS:
        raise error


def _batches(prepared: Iterator[_Prepared], size: int) -> Iterator[list[_Prepared]]:
    batch: list[_Prepared] = []
    for plate in prepared:
        batch.append(plate)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
