"""A batch too large for the memory is halved, and later ones stay small. A lost device fails no plate."""

from typing import Any

import polars as pl
import pytest
import torch
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_datasets import run_folders
from support.made_results import GivenVectors, measure

from atlas_resources.models.memory import DeviceLost
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import StructuredError
from atlas_resources.runs.measuring import Measurer
from atlas_resources.runs.sealing import Measurement


class OutOfMemoryError(RuntimeError):
    """Has the name of torch's own error."""


class FakeWork:
    """Squares numbers, at most `fits` at a time. Fails on a number below 0."""

    def __init__(self, fits: int, error: type[Exception] = OutOfMemoryError):
        self.fits = fits
        self.error = error
        self.sizes: list[int] = []

    def load(self) -> None:
        pass

    def prepare(self, plate: Plate, upstream: object, stopwatch: object) -> int:
        return int(plate.id)

    def measure(self, batch: list[Any]) -> list[Measurement]:
        self.sizes.append(len(batch))
        if len(batch) > self.fits:
            raise self.error("tried to allocate 2 GiB")
        if min(batch) < 0:
            raise ArithmeticError(f"{min(batch)} is below 0")
        return [Measurement(pl.DataFrame(), {"square": number**2}) for number in batch]


def squares(results: list[Measurement | StructuredError]) -> list[Any]:
    """The square of each payload that has one, else the type and message of its error."""
    return [
        result.metrics["square"] if isinstance(result, Measurement) else f"{result.type}: {result.message}"
        for result in results
    ]


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.mark.parametrize("error", [OutOfMemoryError, MemoryError])
def test_the_results_are_those_of_the_whole_batch_in_order(notices, error):
    work = FakeWork(fits=2, error=error)
    measured = Measurer(work, 8, notices.append).measure([1, 2, 3, 4, 5, 6, 7, 8])
    assert squares(measured) == [1, 4, 9, 16, 25, 36, 49, 64]
    assert work.sizes == [8, 4, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("batch_size", "fits", "sizes"),
    [
        (8, 8, [8]),
        (8, 7, [8, 4, 4]),
        (8, 3, [8, 4, 2, 2, 2, 2]),
        (8, 1, [8, 4, 2, 1, 1, 1, 1, 1, 1, 1, 1]),
        (5, 4, [5, 2, 2, 1, 2, 1]),
        (3, 1, [3, 1, 1, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_a_batch_is_halved_until_it_fits(notices, batch_size, fits, sizes):
    work = FakeWork(fits)
    measurer = Measurer(work, batch_size, notices.append)
    for batch in ([1, 2, 3, 4, 5, 6, 7, 8][start : start + batch_size] for start in range(0, 8, batch_size)):
        assert squares(measurer.measure(batch)) == [number**2 for number in batch]
    assert work.sizes == sizes


def test_later_batches_stay_small(notices):
    work = FakeWork(fits=2)
    measurer = Measurer(work, 8, notices.append)
    measurer.measure([1, 2, 3, 4, 5, 6, 7, 8])
    work.sizes.clear()
    assert squares(measurer.measure([9, 10, 11, 12, 13])) == [81, 100, 121, 144, 169]
    assert work.sizes == [2, 2, 1]
    assert len(notices) == 2


def test_the_batch_that_was_tried_is_halved_not_the_allowed_size(notices):
    work = FakeWork(fits=2)
    measurer = Measurer(work, 8, notices.append)
    measurer.measure([1, 2, 3])
    assert work.sizes == [3, 1, 1, 1]
    assert notices == ["out of memory with 3 plates at a time; continuing with 1. tried to allocate 2 GiB"]


def test_the_notices_state_the_batch_sizes(notices):
    Measurer(FakeWork(fits=2), 8, notices.append).measure([1, 2, 3, 4, 5, 6, 7, 8])
    assert notices == [
        "out of memory with 8 plates at a time; continuing with 4. tried to allocate 2 GiB",
        "out of memory with 4 plates at a time; continuing with 2. tried to allocate 2 GiB",
    ]


def test_out_of_memory_with_one_plate_fails_that_plate_with_the_message(notices):
    work = FakeWork(fits=0)
    results = Measurer(work, 2, notices.append).measure([1, 2])
    assert squares(results) == ["OutOfMemoryError: tried to allocate 2 GiB"] * 2
    assert [result.stage for result in results if isinstance(result, StructuredError)] == ["compute", "compute"]
    assert work.sizes == [2, 1, 1]


class CublasFull(RuntimeError):
    """As torch raises it where cuBLAS cannot allocate its workspace."""

    def __init__(self, message: str):
        super().__init__(f"CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`: {message}")


class CudaFull(torch.AcceleratorError):
    """As torch raises it where CUDA itself cannot allocate, beside torch's own allocator."""

    def __init__(self, message: str):
        super().__init__(f"CUDA error: out of memory ({message})")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, CublasFull, CudaFull])
def test_a_gpu_that_is_full_halves_the_batch_whoever_wanted_the_memory(notices, error):
    work = FakeWork(fits=2, error=error)
    assert squares(Measurer(work, 4, notices.append).measure([1, 2, 3, 4])) == [1, 4, 9, 16]
    assert work.sizes == [4, 2, 2]


class LosesDevice(GivenVectors):
    """Measures plates until one of them asserts on the device. After that every call fails, as on a GPU."""

    def __init__(self, vectors: dict[str, tuple[float, ...]], fatal: str):
        super().__init__(vectors)
        self.fatal = fatal
        self.is_lost = False

    def measure(self, batch: list[Any]) -> list[Measurement]:
        self.is_lost = self.is_lost or self.fatal in batch
        if self.is_lost:
            raise torch.AcceleratorError("CUDA error: device-side assert triggered\nSearch for `cudaErrorAssert'")
        return super().measure(batch)


def test_a_lost_device_ends_the_run_and_seals_no_plate_as_failed(dataset, fakes):
    registry = fake_registry(fake_spec(EMBEDDER))  # two plates at once
    work = LosesDevice({plate_id: (1.0, 0.0, 0.0) for plate_id in dataset.plate_ids()}, fatal="plate-004")
    with pytest.raises(DeviceLost) as caught:
        measure(dataset, registry, EMBEDDER, work)
    assert str(caught.value).startswith(
        "this process has lost its device while measuring plate-003, plate-004: AcceleratorError: CUDA error: "
        "device-side assert triggered. These plates and those after them are not measured, and none counts as failed."
    )
    assert [len(run_folders(dataset, plate_id)) for plate_id in dataset.plate_ids()] == [1, 1, 0, 0, 0]


def test_plates_after_a_lost_device_are_measured_by_the_next_run(dataset, fakes):
    registry = fake_registry(fake_spec(EMBEDDER))
    vectors = {plate_id: (1.0, 0.0, 0.0) for plate_id in dataset.plate_ids()}
    with pytest.raises(DeviceLost):
        measure(dataset, registry, EMBEDDER, LosesDevice(vectors, fatal="plate-003"))
    assert measure(dataset, registry, EMBEDDER, GivenVectors(vectors)) == ["reused"] * 2 + ["complete"] * 3


def test_a_device_lost_by_one_plate_alone_fails_none_of_its_batch(notices):
    class Fragile(FakeWork):
        def measure(self, batch: list[Any]) -> list[Measurement]:
            if batch == [3]:
                raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
            return super().measure(batch)

    with pytest.raises(DeviceLost, match="illegal memory access"):
        Measurer(Fragile(fits=4), 4, notices.append).measure([1, -2, 3, 4])


def test_an_ordinary_error_of_one_plate_does_not_affect_the_others_or_the_batch_size(notices):
    work = FakeWork(fits=4)
    measurer = Measurer(work, 4, notices.append)
    assert squares(measurer.measure([1, -2, 3, 4])) == [1, "ArithmeticError: -2 is below 0", 9, 16]
    assert squares(measurer.measure([5, 6, 7, 8])) == [25, 36, 49, 64]
    assert work.sizes == [4, 1, 1, 1, 1, 4]
    assert notices == []


def test_an_ordinary_error_after_halving_does_not_affect_the_others(notices):
    work = FakeWork(fits=2)
    assert squares(Measurer(work, 4, notices.append).measure([1, 2, -3, 4])) == [
        1,
        4,
        "ArithmeticError: -3 is below 0",
        16,
    ]
    assert work.sizes == [4, 2, 2, 1, 1]


def test_a_model_that_gives_too_few_results_is_tried_plate_by_plate(notices):
    class Forgetful(FakeWork):
        def measure(self, batch: list[Any]) -> list[Measurement]:
            return super().measure(batch)[:1]

    work = Forgetful(fits=4)
    assert squares(Measurer(work, 4, notices.append).measure([1, 2, 3])) == [1, 4, 9]
    assert work.sizes == [3, 1, 1, 1]


def test_a_run_logs_each_halving_and_completes_every_plate(dataset, fakes, caplog):
    class Cramped(GivenVectors):
        def measure(self, batch: list[Any]) -> list[Measurement]:
            if len(batch) > 1:
                raise OutOfMemoryError("tried to allocate 2 GiB")
            return super().measure(batch)

    registry = fake_registry(fake_spec(EMBEDDER))
    work = Cramped({plate_id: (1.0, 0.0, 0.0) for plate_id in dataset.plate_ids()})
    assert measure(dataset, registry, EMBEDDER, work) == ["complete"] * 5
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warned == [f"{EMBEDDER}: out of memory with 2 plates at a time; continuing with 1. tried to allocate 2 GiB"]
