"""Measuring a batch: a bad plate fails alone, a batch too large for the memory is halved, a lost device ends it."""

import traceback
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from atlas_resources.models.memory import DeviceLost, ModelLost, is_device_lost, is_out_of_memory, release_cached_memory
from atlas_resources.models.protocols import AnswerRefused
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import StructuredError
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult

TRACEBACK_CHARACTERS = 8000


class Work(Protocol):
    """What an instrument does with plates."""

    def load(self) -> None:
        """Loads the model. An error ends the run before any plate is measured."""
        ...

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> Any:
        """Makes the model's input from one plate's pixels or upstream result. Called on threads.

        Decoding is counted as the stage `decode` on the plate's stopwatch, the rest as `preprocess`. Other instruments
        may share the decoded picture (see `passes.shared_source`), which is never changed.
        """
        ...

    def measure(self, batch: list[Any]) -> Sequence[Measurement | AnswerRefused]:
        """Measures prepared plates, in their order. A plate whose question was refused has the error in its place."""
        ...


def structured(error: BaseException, stage: Literal["decode", "compute", "seal"]) -> StructuredError:
    """An exception as it is recorded in a manifest."""
    text = "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]
    return StructuredError(type=type(error).__name__, message=str(error) or repr(error), stage=stage, traceback=text)


class Measurer:
    """Measures batches of prepared plates, never more at a time than fitted into the memory before."""

    def __init__(self, work: Work, batch_size: int, on_notice: Callable[[str], None]):
        self.work = work
        self.batch_limit = batch_size
        self.on_notice = on_notice

    def measure(self, payloads: list[Any]) -> list[Measurement | StructuredError]:
        """A result or an error per payload, in order.

        Raises:
            ModelLost: the accelerator or the server cannot be used any more. None of these plates has failed.
        """
        results: list[Measurement | StructuredError] = []
        while len(results) < len(payloads):
            batch = payloads[len(results) : len(results) + self.batch_limit]
            failure, is_too_large = None, False
            try:
                results += self._whole(batch)
            except Exception as error:  # noqa: BLE001 - recorded per plate, below
                failure, is_too_large = _failure(error), is_out_of_memory(error)
            # Outside the handler, whose traceback would keep the batch's tensors alive.
            if is_too_large:
                release_cached_memory()
            if failure is not None and len(batch) == 1:
                results.append(failure)
            elif failure is not None and is_too_large:
                self._halve(len(batch), failure.message)
            elif failure is not None:
                results += [self._alone(payload) for payload in batch]
        return results

    def _whole(self, batch: list[Any]) -> list[Measurement | StructuredError]:
        measured = [
            structured(one, "compute") if isinstance(one, AnswerRefused) else one for one in self.work.measure(batch)
        ]
        if len(measured) != len(batch):
            raise ValueError(f"expected one result for each of {len(batch)} plates, found {len(measured)}")
        return measured

    def _alone(self, payload: Any) -> Measurement | StructuredError:
        try:
            return self._whole([payload])[0]
        except Exception as error:  # noqa: BLE001 - whatever it is, only this plate fails
            return _failure(error)

    def _halve(self, tried: int, message: str) -> None:
        self.batch_limit = max(1, tried // 2)
        self.on_notice(f"out of memory with {tried} plates at a time; continuing with {self.batch_limit}. {message}")


def _failure(error: Exception) -> StructuredError:
    """The error as it is recorded of a plate. Raises ModelLost if it says nothing about the plate."""
    if isinstance(error, ModelLost):
        raise error
    if is_device_lost(error):
        raise DeviceLost(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    return structured(error, "compute")
