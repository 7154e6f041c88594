"""A step is retried once after a failure of the machine, but not for failed plates or for wrong weights."""

import errno

import dagster as dg
import pytest
import torch
from support.fake_instruments import SEGMENTER, FakeSegmenter, fake_registry, fake_spec
from support.made_datasets import Graph, make_dataset, run_folders

from atlas_assets.graph.plate_step import shared_pass, step
from atlas_resources.models.devices import DeviceUnavailable
from atlas_resources.models.weights import WeightsMissing
from atlas_resources.resources import InstrumentResource
from atlas_resources.runs.passes.together import measure_together

SEGMENTS = f"segments/{SEGMENTER}"


@pytest.fixture
def graph(tmp_path, fakes, instance):
    """plate-002 is magenta, which the segmenter refuses."""
    return Graph(make_dataset(tmp_path, "red", "magenta", "teal"), fake_registry(fake_spec(SEGMENTER)), instance)


def retries(result: dg.ExecuteInProcessResult) -> int:
    return sum(event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY for event in result.all_events)


def test_a_step_that_the_disk_interrupted_continues_after_its_sealed_plates(graph, monkeypatch):
    """As when its process is killed, which Dagster counts as an error of the step."""
    calls = []

    def cut_short(*arguments):
        calls.append(None)
        for event in measure_together(*arguments):
            yield event
            if len(calls) == 1:
                raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(shared_pass, "measure_together", cut_short)
    result = graph.materialize(SEGMENTS, plates=["plate-001"])
    assert result.success
    assert (retries(result), len(calls)) == (1, 2)
    assert len(run_folders(graph.dataset, "plate-001")) == 1


def test_failed_plates_cause_no_retry(graph):
    result = graph.materialize(SEGMENTS)
    assert not result.success
    assert retries(result) == 0
    assert len(run_folders(graph.dataset, "plate-002")) == 1


@pytest.mark.parametrize(
    "error",
    [
        WeightsMissing("not on disk. Fix: `atlas models pull`"),
        DeviceUnavailable("no CUDA device"),
        ValueError("expected vectors of 4 values, found 3"),
        OSError(errno.EACCES, "Permission denied"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_would_fail_again_causes_no_retry_and_its_message_comes_first(graph, monkeypatch, error):
    def load(self, instrument):
        raise error

    monkeypatch.setattr(InstrumentResource, "load", load)
    result = graph.materialize(SEGMENTS)
    assert retries(result) == 0
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(("parent", "expected"), [(None, 0), ("the run's process", 1)])
def test_a_lost_device_is_tried_again_only_in_a_new_process_and_the_run_names_the_plates(
    graph, monkeypatch, parent, expected
):
    def lost(self, raster):
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(FakeSegmenter, "segment", lost)
    monkeypatch.setattr(step, "parent_process", lambda: parent)
    result = graph.materialize(SEGMENTS)
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert str(failure.user_failure_data.description).startswith(
        "DeviceLost: this process has lost its device while measuring plate-001, plate-002: AcceleratorError: "
    )
    assert retries(result) == expected
    assert [run_folders(graph.dataset, plate_id) for plate_id in graph.dataset.plate_ids()] == [[], [], []]
