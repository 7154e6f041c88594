"""The way of one job through a pass: claim a plate, prepare it, measure in batches of its own, seal plate by plate.

Instruments and files are unknown here: a `Job` defines how a plate is measured and how its result is kept.
"""

import errno
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic

import polars as pl

from atlas_resources.models.memory import ModelLost
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import StructuredError
from atlas_resources.runs.claims import Claim, claim_plate
from atlas_resources.runs.measuring import structured
from atlas_resources.runs.passes.job import Job, PlateOutcome, Sealed, Timings
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.sharing.worker import SealedByAnother
from atlas_resources.store.protocol import StoreUnreachable
from atlas_resources.withdrawals.in_force import PlateWithdrawn

PLATE_ERRORS = {
    *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTEMPTY),
}
"""What an unwritable, missing or odd folder of one plate gives."""

MOST_DEATHS = 3
"""After as many processes died with a plate, its failure is kept, and it is measured again only when it is retried."""


@dataclass(frozen=True)
class Prepared:
    """A plate ready for a job's `measure`, or why it is not.

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

    @property
    def is_wanted(self) -> bool:
        """Whether the plate has to be prepared."""
        return self.claim is not None and self.error is None and self.done is None


class Lane(Generic[Sealed]):
    """One job and the plates that it has prepared and not yet measured."""

    def __init__(
        self, dataset: Dataset, job: Job[Sealed], timings: Timings, *, plates_at_once: int, is_forced: bool = False
    ):
        self.job = job
        self.plates_at_once = plates_at_once
        self._dataset = dataset
        self._timings = timings
        self._is_forced = is_forced
        self._claims: list[Claim] = []
        self._waiting: list[Prepared] = []

    @property
    def waiting_count(self) -> int:
        """How many plates are taken and wait for a whole batch. Any thread may ask."""
        return len(self._waiting)

    def claim(self, plate_id: str, *, wait: bool = False) -> Prepared:
        """Claims a plate, unless another run holds it or a process died with it, and looks whether it is done.

        Args:
            plate_id: the plate.
            wait: wait for a run that holds it, and claim it even if processes died with it.
        """
        try:
            plate = self._dataset.plate(plate_id)
            claim = claim_plate(plate, self.job.key, wait=wait)
        except StoreUnreachable:
            raise  # of every plate
        except (OSError, ValueError) as caught:
            return Prepared(plate_id, error=structured(caught, "decode"))
        if claim is not None and claim.deaths and not wait:
            claim.put_off()
            claim = None
        if claim is None:
            return Prepared(plate_id, plate)
        self._claims.append(claim)
        if claim.deaths >= MOST_DEATHS:
            return Prepared(plate_id, plate, claim, error=_process_died(claim.deaths))
        claimed = Prepared(plate_id, plate, claim)
        try:
            with claimed.stopwatch.stage("decode"):
                return replace(claimed, done=None if self._is_forced else self.job.find_done(plate))
        except StoreUnreachable:
            raise
        except Exception as caught:  # noqa: BLE001 - any error of a bad plate fails only this plate
            return replace(claimed, error=structured(caught, "decode"))

    def prepare(self, claimed: Prepared) -> Prepared:
        """Makes the job's input from a claimed plate; returns one that is not wanted as it is. Called on threads."""
        if claimed.plate is None or not claimed.is_wanted:
            return claimed
        try:
            with claimed.stopwatch.stage("preprocess"):
                return replace(claimed, payload=self.job.prepare(claimed.plate, claimed.stopwatch))
        except StoreUnreachable:
            raise
        except Exception as caught:  # noqa: BLE001 - any error of a bad scan fails only this plate
            return replace(claimed, error=structured(caught, "decode"))

    def add(self, prepared: Prepared) -> Iterator[PlateOutcome[Sealed]]:
        """Takes a plate; measures and seals a whole batch once there is one, and yields its plates' outcomes."""
        self._waiting.append(prepared)
        if len(self._waiting) >= self.plates_at_once:
            yield from self.flush()

    def flush(self) -> Iterator[PlateOutcome[Sealed]]:
        """Measures and seals the plates that were taken; yields each one's outcome as soon as it is sealed."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
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
            seconds = prepared.stopwatch.read()
            self._timings.add(seconds)
            yield outcome if outcome.status == "reused" else replace(outcome, seconds=seconds)

    def release(self) -> None:
        """Releases every plate that the job holds, and frees what was prepared."""
        self._waiting = []
        for claim in self._claims:
            claim.release()

    def _measure(self, ready: list[Prepared]) -> Sequence[Any | StructuredError]:
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

    def _seal(self, prepared: Prepared, result: Any | StructuredError) -> PlateOutcome[Sealed]:
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
            except SealedByAnother as other:
                return PlateOutcome(prepared.plate_id, "reused", other.sealed)
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
