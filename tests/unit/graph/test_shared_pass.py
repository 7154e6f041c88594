"""The first step of a run that reads pixels measures for the others: one decode a plate, and steps end on their own."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, FakeSegmenter, fake_registry, fake_spec
from support.made_datasets import Graph, make_dataset, run_folders

from atlas_assets.graph.partitions import add_missing_partitions
from atlas_assets.graph.plate_step import shared_pass
from atlas_assets.graph.plate_step.shared_pass import shares_with, sharing_instruments
from atlas_resources.models.weights import WeightsMissing
from atlas_resources.plates.decode import decode_source
from atlas_resources.resources import InstrumentResource
from atlas_resources.runs.passes import shared_source

OTHER = "another_fake_embedder"
EMBEDDINGS, OTHERS, SEGMENTS = f"embeddings/{EMBEDDER}", f"embeddings/{OTHER}", f"segments/{SEGMENTER}"
GROUNDWORK = ["plate/input_image", "plate/input_color_histograms"]
PIXELS = [EMBEDDINGS, OTHERS, SEGMENTS]
PLATES = ["plate-001", "plate-002", "plate-003"]


@pytest.fixture
def graph(tmp_path, fakes, instance):
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(OTHER, gain=2.0), fake_spec(SEGMENTER))
    return Graph(make_dataset(tmp_path, "red", "green", "blue"), registry, instance)


@pytest.fixture
def decoded(monkeypatch) -> Counter[str]:
    """How often the source of each plate is decoded."""
    counts: Counter[str] = Counter()

    def counted(plate):
        counts[plate.id] += 1
        return decode_source(plate)

    monkeypatch.setattr(shared_source, "decode_source", counted)
    return counts


def run_steps(graph: Graph, *keys: str, ops: Mapping[str, Any] | None = None) -> dg.ExecuteInProcessResult:
    """One run over all plates, with the configuration of each step."""
    add_missing_partitions(graph.instance, graph.dataset)
    plate_ids = graph.instance.get_dynamic_partitions("plates")
    return graph.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=graph.instance,
        asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
        tags={"dagster/asset_partition_range_start": plate_ids[0], "dagster/asset_partition_range_end": plate_ids[-1]},
        run_config={"ops": {op: {"config": config} for op, config in (ops or {}).items()}},
        raise_on_error=False,
    )


def made(graph: Graph, key: str) -> dict[str | None, bool]:
    """Whether each plate that an asset has events of was reused, as its metadata say."""
    return {plate_id: bool(event.metadata["reused"].value) for plate_id, event in graph.events(key)}


def ends(result: dg.ExecuteInProcessResult) -> dict[str | None, str]:
    """How each step ended."""
    found = {}
    for event in result.all_events:
        if event.is_step_success or event.is_step_failure or event.is_step_skipped:
            found[event.step_key] = event.event_type_value.removeprefix("STEP_").lower()
    return found


def once(*plate_ids: str) -> dict[str, int]:
    return dict.fromkeys(plate_ids or PLATES, 1)


def test_groundwork_and_all_instruments_of_a_run_decode_each_plate_once(graph, decoded):
    result = run_steps(graph, *GROUNDWORK, *PIXELS)
    assert result.success
    assert decoded == once()
    for key in [*GROUNDWORK, *PIXELS]:
        assert made(graph, key) == dict.fromkeys(PLATES, False), "what an earlier step of the run sealed is not reused"


def test_instruments_without_the_groundwork_decode_each_plate_once(graph, decoded):
    assert run_steps(graph, *PIXELS).success
    assert decoded == once()
    for key in PIXELS:
        assert made(graph, key) == dict.fromkeys(PLATES, False)
    assert {len(run_folders(graph.dataset, plate_id)) for plate_id in PLATES} == {3}


def test_what_an_earlier_run_made_is_still_reused(graph, decoded):
    run_steps(graph, EMBEDDINGS)
    decoded.clear()
    assert run_steps(graph, *PIXELS).success
    assert decoded == once()
    again = [event for _, event in graph.events(EMBEDDINGS)][len(PLATES) :]
    assert [event.metadata["reused"].value for event in again] == [True] * len(PLATES)


def test_an_instrument_that_is_not_asked_for_is_not_measured(graph):
    assert run_steps(graph, EMBEDDINGS, SEGMENTS).success
    assert {len(run_folders(graph.dataset, plate_id)) for plate_id in PLATES} == {2}
    assert graph.events(OTHERS) == []


def test_steps_with_work_lists_of_their_own_share_what_they_have_in_common(graph, decoded):
    add_missing_partitions(graph.instance, graph.dataset)
    lists = {
        f"embeddings__{EMBEDDER}": ["plate-001", "plate-002"],
        f"segments__{SEGMENTER}": ["plate-001", "plate-003"],
    }
    result = graph.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=graph.instance,
        asset_selection=[dg.AssetKey(key.split("/")) for key in (EMBEDDINGS, SEGMENTS)],
        tags={"dagster/asset_partition_range_start": "plate-001", "dagster/asset_partition_range_end": "plate-001"},
        run_config={"ops": {op: {"config": {"plates": plates}} for op, plates in lists.items()}},
    )
    assert result.success
    assert decoded == once()
    assert set(made(graph, EMBEDDINGS)) == {"plate-001", "plate-002"}
    assert set(made(graph, SEGMENTS)) == {"plate-001", "plate-003"}


def test_a_plate_that_one_instrument_refuses_fails_its_step_once_and_no_other(graph, decoded, monkeypatch):
    def refuse(self, raster):
        raise ArithmeticError("no")

    monkeypatch.setattr(FakeSegmenter, "segment", refuse)
    result = run_steps(graph, *GROUNDWORK, *PIXELS)
    assert ends(result) == {
        "groundwork": "success",
        f"embeddings__{EMBEDDER}": "success",
        f"embeddings__{OTHER}": "success",
        f"segments__{SEGMENTER}": "failure",
    }
    assert decoded == once(), "the step does not measure again what failed in its run"
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert "plate-002: ArithmeticError (compute): no" in str(failure.user_failure_data.description)
    run_steps(graph, SEGMENTS)
    assert decoded == {plate_id: 2 for plate_id in PLATES}, "the next run tries again"


def test_weights_that_are_wrong_end_their_own_step_and_no_other(graph, decoded, monkeypatch):
    load = InstrumentResource.load

    def missing(self, instrument):
        if instrument.key == OTHER:
            raise WeightsMissing("not on disk")
        return load(self, instrument)

    monkeypatch.setattr(InstrumentResource, "load", missing)
    result = run_steps(graph, *PIXELS)
    assert ends(result) == {
        f"embeddings__{EMBEDDER}": "success",
        f"embeddings__{OTHER}": "failure",
        f"segments__{SEGMENTER}": "success",
    }
    assert set(made(graph, EMBEDDINGS)) == set(made(graph, SEGMENTS)) == set(PLATES)


def test_a_forced_step_is_measured_once_by_the_run(graph, decoded):
    run_steps(graph, *PIXELS)
    decoded.clear()
    forced = {f"segments__{SEGMENTER}": {"force": True}, f"embeddings__{OTHER}": {"force": True}}
    assert run_steps(graph, *PIXELS, ops=forced).success
    assert decoded == once()
    assert {len(run_folders(graph.dataset, plate_id)) for plate_id in PLATES} == {5}


def test_a_step_that_hashes_weights_again_measures_by_itself(graph, decoded):
    assert run_steps(graph, *PIXELS, ops={f"segments__{SEGMENTER}": {"paranoid": True}}).success
    assert decoded == {plate_id: 2 for plate_id in PLATES}


def test_a_step_that_is_tried_again_measures_for_no_other(graph, decoded, monkeypatch):
    """The first try ends as if its process had been killed, by whichever instrument of it."""
    measured = []
    measure_together = shared_pass.measure_together

    def killed_once(dataset, members):
        measured.append([member.key for member, _ in members])
        if len(measured) == 1:
            raise OSError(5, "input/output error")
        return measure_together(dataset, members)

    def as_generator(dataset, members):
        yield from killed_once(dataset, members)

    monkeypatch.setattr(shared_pass, "measure_together", as_generator)
    assert run_steps(graph, *PIXELS).success
    assert sorted(measured[0]) == sorted([EMBEDDER, OTHER, SEGMENTER])
    assert [len(keys) for keys in measured[1:]] == [1, 1, 1]
    assert decoded == {plate_id: 3 for plate_id in PLATES}


def test_models_that_do_not_fit_into_memory_together_are_loaded_one_after_another(graph, decoded, monkeypatch):
    monkeypatch.setattr(shared_pass, "weights_bytes", lambda spec: 600)
    monkeypatch.setattr(shared_pass, "free_bytes_on_device", lambda spec: 2000)
    assert run_steps(graph, *PIXELS).success
    assert decoded == {plate_id: 3 for plate_id in PLATES}


def test_as_many_models_as_fit_share_a_decode(graph, decoded, monkeypatch):
    monkeypatch.setattr(shared_pass, "weights_bytes", lambda spec: 500)
    monkeypatch.setattr(shared_pass, "free_bytes_on_device", lambda spec: 2000)
    assert run_steps(graph, *PIXELS).success
    assert decoded == {plate_id: 2 for plate_id in PLATES}, "two of three are half of the free memory"


class TestWhichInstrumentsShare:
    def test_those_that_read_pixels_in_large_runs(self, graph):
        small = fake_spec("small_fake_segmenter").model_copy(update={"max_partitions_per_run": 50})
        registry = fake_registry(fake_spec(EMBEDDER), small)
        assert [one.key for one in sharing_instruments(registry.instruments.values())] == [EMBEDDER]

    def test_only_those_of_the_same_device_share(self, graph):
        gpu = fake_spec("gpu_fake_embedder")
        numeric = gpu.numeric and gpu.numeric.model_copy(update={"device": "cuda"})
        registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER), gpu.model_copy(update={"numeric": numeric}))
        sharing = sharing_instruments(registry.instruments.values())
        by_key = {one.key: one for one in sharing}
        assert [one.key for one in shares_with(None, sharing)] == [EMBEDDER, SEGMENTER]
        assert [one.key for one in shares_with(by_key[SEGMENTER], sharing)] == [EMBEDDER, SEGMENTER]
        assert [one.key for one in shares_with(by_key["gpu_fake_embedder"], sharing)] == ["gpu_fake_embedder"]
