"""Models are freed at the end of the step that loaded them, although the run goes on with others."""

import gc
import weakref
from typing import Any

import pytest
from support import fake_instruments
from support.fake_instruments import EMBEDDER, READER, SEGMENTER, fake_registry, fake_spec, reader_spec
from support.made_datasets import Graph, make_dataset

from atlas_assets.graph.plate_step import shared_pass
from atlas_resources.models.devices import DeviceUnavailable

EMBEDDINGS, SEGMENTS = f"embeddings/{EMBEDDER}", f"segments/{SEGMENTER}"


@pytest.fixture
def alive(monkeypatch) -> list[list[str]]:
    """At each loading, the instruments whose models are still in memory."""
    models: dict[str, weakref.ref] = {}
    seen: list[list[str]] = []
    load = fake_instruments.load

    def watched(spec: Any, weights: object, device: str) -> Any:
        seen.append([key for key, model in models.items() if model() is not None])
        model = load(spec, weights, device)
        models[spec.key] = weakref.ref(model)
        return model

    monkeypatch.setattr(fake_instruments, "load", watched)
    return seen


@pytest.fixture
def crowded(monkeypatch):
    """The memory has no room for a second model, so that no step measures for another."""
    monkeypatch.setattr(shared_pass, "weights_bytes", lambda spec: 600)
    monkeypatch.setattr(shared_pass, "free_bytes_on_device", lambda spec: 2000)


@pytest.fixture
def uncollected():
    """Without Python's own collections, which come at any time."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("crowded", "uncollected")
def test_no_two_models_are_in_memory_at_once_where_only_one_fits(graph, alive):
    assert graph.materialize("plate/manifest", EMBEDDINGS, SEGMENTS).success
    assert alive == [[], []]


@pytest.mark.usefixtures("crowded", "uncollected")
def test_a_model_is_freed_where_plates_failed(tmp_path, fakes, alive, instance):
    """plate-002 is magenta, which both instruments refuse."""
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    graph = Graph(make_dataset(tmp_path, "red", "magenta"), registry, instance)
    assert not graph.materialize(EMBEDDINGS, SEGMENTS).success
    assert alive == [[], []]


@pytest.mark.usefixtures("uncollected")
def test_models_that_share_a_decode_are_freed_with_the_step_that_loaded_them(tmp_path, fakes, alive, instance):
    """Both are loaded by the first step. The reader, which reads a sealed result, is loaded by its own."""
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER), reader_spec())
    graph = Graph(make_dataset(tmp_path, "red", "green"), registry, instance)
    assert graph.materialize(EMBEDDINGS, SEGMENTS, f"probes/{READER}").success
    assert [len(models) for models in alive] == [0, 1, 0]


def test_a_missing_device_causes_no_retry_and_its_message_comes_first(graph, monkeypatch):
    def missing(spec: object) -> str:
        raise DeviceUnavailable("fake is declared for cuda and this machine has no CUDA device")

    monkeypatch.setattr(fake_instruments.inference, "require_device", missing)
    prepared = []
    monkeypatch.setattr("atlas_assets.roles.tensors.TensorWork.prepare", lambda *given: prepared.append(given))
    result = graph.materialize(EMBEDDINGS)
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert str(failure.user_failure_data.description).startswith("DeviceUnavailable: fake is declared for cuda")
    assert not any(event.is_step_up_for_retry for event in result.all_events)
    assert prepared == []
