"""What a run records: counts that go on from run to run, and gauges only while it runs."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support.socket_server import LONG_SECONDS, answering, hang

from atlas_resources.watching.counts import Continued, read_counts
from atlas_resources.watching.recording import recording, sweep
from atlas_resources.watching.series import SECONDS, Counts
from atlas_resources.watching.settings import MetricsSettings
from atlas_resources.watching.slots import take_slot
from atlas_resources.watching.starting import watching
from atlas_resources.watching.watch import NoWatch, Queue, Watched

WATCHED = [Watched("dino", "0123456789abcdef")]
STAGES = {"decode": 0.02, "preprocess": 0.0, "compute": 0.5, "seal": 0.005}


def settings_of(folder: Path, **more: object) -> MetricsSettings:
    return MetricsSettings.model_validate({"folder": folder, "seconds": 0.1, **more})


def samples(path: Path) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its labels' values, without the slot."""
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "slot")): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def record(folder: Path, plates: int) -> dict[tuple[str, ...], float]:
    with recording(WATCHED, settings_of(folder), folder) as watch:
        for _ in range(plates):
            watch.plate_ended("dino", "complete", STAGES)
        watch.plate_ended("dino", "reused", None)
    return samples(folder / "atlas_run_0.prom")


def test_counts_go_on_from_run_to_run(tmp_path: Path):
    assert record(tmp_path, 3)["atlas_plates_total", "dino", "complete"] == 3
    found = record(tmp_path, 4)
    assert found["atlas_plates_total", "dino", "complete"] == 7
    assert found["atlas_plates_total", "dino", "reused"] == 2
    assert found["atlas_plates_total", "dino", "failed"] == 0
    assert found["atlas_plate_stage_seconds_count", "dino", "compute"] == 7
    assert found["atlas_plate_stage_seconds_sum", "dino", "compute"] == pytest.approx(3.5)
    assert found["atlas_plate_stage_seconds_bucket", "dino", "0.3", "compute"] == 0
    assert found["atlas_plate_stage_seconds_bucket", "dino", "1.0", "compute"] == 7
    assert not [name for name in found if name[0].startswith("atlas_run_")]


def test_a_run_in_progress_shows_what_measures_and_what_waits(tmp_path: Path):
    with recording(WATCHED, settings_of(tmp_path), tmp_path) as watch:
        watch.ask_queues(lambda: [Queue("prepared", "", 3, 8)])
        deadline = time.monotonic() + 10
        path = tmp_path / "atlas_run_0.prom"
        while not path.exists() or ("atlas_run_queue_plates", "", "prepared") not in (found := samples(path)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert found["atlas_run_queue_plates", "", "prepared"] == 3
    assert found["atlas_run_queue_limit_plates", "", "prepared"] == 8
    assert found["atlas_run_info", "0123456789ab", os.uname().nodename, "dino"] == 1
    assert abs(found["atlas_run_heartbeat_timestamp_seconds",] - time.time()) < 60
    assert found["atlas_run_memory_peak_bytes",] > 1e6


def test_runs_at_once_have_numbers_of_their_own(tmp_path: Path):
    with take_slot(tmp_path) as first, take_slot(tmp_path) as second:
        assert (first.name, second.name) == ("0", "1")
    with take_slot(tmp_path) as again:
        assert again.name == "0"


def _die(folder: Path) -> None:
    with recording(WATCHED, settings_of(folder), folder) as watch:
        watch.plate_ended("dino", "complete", STAGES)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_run_is_counted_once_and_its_gauges_go(tmp_path: Path):
    process = multiprocessing.get_context("spawn").Process(target=_die, args=(tmp_path,))
    process.start()
    process.join(60)
    path = tmp_path / "atlas_run_0.prom"
    assert [name for name in samples(path) if name[0] == "atlas_run_info"]
    for _ in range(2):
        sweep(settings_of(tmp_path), tmp_path)
    found = samples(path)
    assert found["atlas_runs_killed_total",] == 1
    assert found["atlas_plates_total", "dino", "complete"] == 1
    assert not [name for name in found if name[0] == "atlas_run_info"]


def test_a_run_in_progress_is_not_taken_for_a_killed_one(tmp_path: Path):
    with recording(WATCHED, settings_of(tmp_path), tmp_path):
        sweep(settings_of(tmp_path), tmp_path)
    assert samples(tmp_path / "atlas_run_0.prom")["atlas_runs_killed_total",] == 0


@pytest.mark.parametrize("content", ["", "not { metrics", "\x00\xff", 'atlas_plates_total{slot="0"} x\n'])
def test_a_file_that_is_none_is_begun_anew(tmp_path: Path, content: str):
    (tmp_path / "atlas_run_0.prom").write_text(content)
    assert record(tmp_path, 2)["atlas_plates_total", "dino", "complete"] == 2


def test_a_histogram_of_other_limits_is_begun_anew(tmp_path: Path):
    record(tmp_path, 2)
    path = tmp_path / "atlas_run_0.prom"
    path.write_text(path.read_text().replace('le="0.3"', 'le="0.25"'))
    found = record(tmp_path, 1)
    assert found["atlas_plate_stage_seconds_count", "dino", "compute"] == 1
    assert found["atlas_plates_total", "dino", "complete"] == 3


@given(st.lists(st.lists(st.sampled_from(["a", "b"]), max_size=5), min_size=1, max_size=4))
@settings(max_examples=30)
def test_counts_of_many_processes_are_their_sum(tmp_path_factory, runs: list[list[str]]):
    path = tmp_path_factory.mktemp("counts") / "one.prom"
    for run in runs:
        counts = Counts("0")
        for instrument in run:
            counts.add(instrument, "complete", {"seal": 0.002})
        path.write_bytes(generate_latest(Continued(counts.registry, read_counts(path, SECONDS))))
    found = samples(path)
    for instrument in ("a", "b"):
        wanted = sum(run.count(instrument) for run in runs)
        assert found.get(("atlas_plates_total", instrument, "complete"), 0) == wanted
        assert found.get(("atlas_plate_stage_seconds_count", instrument, "seal"), 0) == wanted


def test_nothing_is_imported_or_started_where_metrics_are_off(tmp_path: Path):
    before = threading.active_count()
    with watching(WATCHED, MetricsSettings()) as watch:
        assert isinstance(watch, NoWatch)
        assert threading.active_count() == before


def test_a_folder_that_cannot_be_written_costs_the_metrics_alone(tmp_path: Path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING), watching(WATCHED, settings_of(tmp_path / "file" / "in")) as watch:
        watch.plate_ended("dino", "complete", STAGES)
    assert "metrics are not written" in caplog.text


def test_settings_that_are_wrong_cost_the_metrics_alone(tmp_path: Path, caplog, monkeypatch):
    (tmp_path / "automation.yaml").write_text("")
    (tmp_path / "metrics.yaml").write_text("folder: relative\n")
    monkeypatch.setenv("ATLAS_PROJECT", str(tmp_path))
    with caplog.at_level(logging.WARNING), watching(WATCHED) as watch:
        watch.plate_ended("dino", "complete", STAGES)
    assert "expected an absolute path" in caplog.text


def test_a_pushgateway_that_hangs_holds_up_no_plate_and_is_logged_once(tmp_path: Path, caplog, monkeypatch):
    monkeypatch.setattr("atlas_resources.watching.publishing.LONGEST_SECONDS", 0.3)
    with answering(hang) as url, caplog.at_level(logging.WARNING):
        started = time.monotonic()
        with recording(WATCHED, settings_of(tmp_path, pushgateway=url), tmp_path) as watch:
            for _ in range(1000):
                watch.plate_ended("dino", "complete", STAGES)
            assert time.monotonic() - started < LONG_SECONDS  # each push waits for 0.3 s
            time.sleep(1)
    assert samples(tmp_path / "atlas_run_0.prom")["atlas_plates_total", "dino", "complete"] == 1000
    assert caplog.text.count("metrics could not be pushed") == 1
