"""Seconds by stage: what the stopwatch counts, and what a sealed plate and a report say."""

import resource
import sys
import time

import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_datasets import run_folders
from support.made_results import GivenVectors, build_ledgers, measure

from atlas_resources.models.memory import peak_device_memory_bytes, peak_memory_bytes
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import Metrics, RunReport, StageSeconds
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch

DECODE, PREPROCESS, COMPUTE = 0.03, 0.05, 0.04
"""Seconds that `SlowVectors` takes: the first two for each plate, the last for each batch."""


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowVectors(GivenVectors):
    """Waits a known time in each stage."""

    def prepare(self, plate: Plate, upstream: object, stopwatch: Stopwatch) -> str:
        with stopwatch.stage("decode"):
            time.sleep(DECODE)
        time.sleep(PREPROCESS)
        return plate.id

    def measure(self, batch: list[str]) -> list[Measurement]:
        time.sleep(COMPUTE)
        return super().measure(batch)


def sealed_metrics(dataset, plate_id: str) -> Metrics:
    (run_id,) = run_folders(dataset, plate_id)
    return read_json(dataset.plate(plate_id).runs_folder / run_id / "metrics.json", Metrics)


def newest_report(dataset) -> RunReport:
    return read_json(max(dataset.reports_dir.iterdir()) / "report.json", RunReport)


@pytest.fixture
def registry(fakes):
    return fake_registry(fake_spec(EMBEDDER))


@pytest.fixture
def measured(dataset, registry):
    """Five plates, in batches of two, by `SlowVectors`."""
    work = SlowVectors({plate_id: (1.0, 0.0, 0.0) for plate_id in dataset.plate_ids()})
    assert measure(dataset, registry, EMBEDDER, work) == ["complete"] * 5
    return dataset


def test_a_stage_within_a_stage_is_not_counted_twice():
    clock = Clock()
    stopwatch = Stopwatch(clock)
    with stopwatch.stage("preprocess"):
        clock.now += 1
        with stopwatch.stage("decode"):
            clock.now += 10
        clock.now += 2
    clock.now += 1000
    assert stopwatch.read() == StageSeconds(decode=10, preprocess=3, compute=0, seal=0)


def test_a_stage_in_progress_and_added_seconds_count():
    clock = Clock()
    stopwatch = Stopwatch(clock)
    stopwatch.add("compute", 0.25)
    with stopwatch.stage("seal"):
        clock.now += 4
        assert stopwatch.read() == StageSeconds(decode=0, preprocess=0, compute=0.25, seal=4)
        clock.now += 1
    assert stopwatch.read().seal == 5


def test_a_stage_that_raises_is_counted():
    clock = Clock()
    stopwatch = Stopwatch(clock)

    def refuse() -> None:
        clock.now += 3
        raise ValueError("corrupt")

    with pytest.raises(ValueError, match="corrupt"), stopwatch.stage("decode"):
        refuse()
    clock.now += 5
    assert stopwatch.read().decode == 3


def test_the_metrics_of_a_plate_have_its_seconds_by_stage(measured):
    """A sleep may take longer than asked for, never less. plate-001 shares its batch with plate-002."""
    first, last = (sealed_metrics(measured, plate_id).seconds for plate_id in ("plate-001", "plate-005"))
    assert first is not None
    assert last is not None
    assert first.decode >= DECODE
    assert first.preprocess >= PREPROCESS
    assert first.compute >= COMPUTE / 2
    assert last.compute >= COMPUTE, "the last batch has one plate"
    assert first.seal > 0


def test_plates_of_a_batch_have_equal_shares_of_its_time(measured):
    first, second = (sealed_metrics(measured, plate_id).seconds for plate_id in ("plate-001", "plate-002"))
    assert first is not None
    assert second is not None
    assert first.compute == second.compute


def test_the_report_sums_the_stages_of_its_plates(measured):
    report = newest_report(measured)
    plates = [sealed_metrics(measured, plate_id).seconds for plate_id in measured.plate_ids()]
    for stage in ("decode", "preprocess", "compute"):
        assert getattr(report, f"{stage}_seconds") == pytest.approx(sum(getattr(plate, stage) for plate in plates))
    assert report.seal_seconds >= sum(plate.seal for plate in plates if plate), "manifests follow the metrics"


def test_the_stages_of_all_plates_fill_the_time_of_the_run(measured):
    """Computing and sealing are on one thread, decoding and preprocessing on two: together at most three times it."""
    report = newest_report(measured)
    assert report.preprocess_seconds is not None
    ahead = report.decode_seconds + report.preprocess_seconds
    on_one_thread = report.load_seconds + report.compute_seconds + report.seal_seconds
    assert on_one_thread <= report.wall_seconds
    assert ahead <= 2 * report.wall_seconds
    assert ahead + on_one_thread >= 0.5 * report.wall_seconds, "time in no stage would be a stage that is missing"


def test_the_ledger_of_runs_repeats_the_seconds_and_counts_attempts(measured, registry):
    assert measure(measured, registry, EMBEDDER, GivenVectors({}), ["plate-001"], is_forced=True) == ["failed"]
    rows = build_ledgers(measured, registry)["runs"].filter(plate_id="plate-001").sort("run_id")
    seconds = sealed_metrics_of_first(measured)
    stages = [f"{stage}_seconds" for stage in StageSeconds.model_fields]
    assert rows.select(stages).rows() == [tuple(seconds.model_dump().values()), (None,) * 4]
    assert rows["attempt"].to_list() == [1, 2]
    assert rows["peak_memory_bytes"][0] > 0
    others = build_ledgers(measured, registry)["runs"].filter(plate_id="plate-002")
    assert others["attempt"].to_list() == [1]


def sealed_metrics_of_first(dataset) -> StageSeconds:
    first = run_folders(dataset, "plate-001")[0]
    seconds = read_json(dataset.plate("plate-001").runs_folder / first / "metrics.json", Metrics).seconds
    assert seconds is not None
    return seconds


def test_metrics_that_were_sealed_without_seconds_are_read():
    """As version 0.1.0 sealed them."""
    text = '{"run_id": "run-20261121-104739Z-81baa378", "plate_id": "plate-001", "values": {"l2_norm": 1.5}}'
    metrics = Metrics.model_validate_json(text, strict=True)
    assert (metrics.seconds, metrics.peak_memory_bytes, metrics.peak_device_memory_bytes) == (None, None, None)


def test_the_peak_of_memory_grows_with_what_is_used():
    before = peak_memory_bytes()
    block = bytearray(b"x" * 64 * 1024 * 1024)
    assert peak_memory_bytes() >= before
    assert peak_memory_bytes() >= len(block)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own figure is read on Linux only")
def test_the_peak_of_memory_is_in_bytes():
    """`ru_maxrss` is in KiB and at least the process's own peak."""
    assert peak_memory_bytes() <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_no_peak_of_a_device_is_stated_where_torch_uses_none(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert peak_device_memory_bytes() is None
