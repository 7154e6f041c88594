"""The client of Triton compares what is served with the spec, and a run survives a server that fails.

Against a small server of the protocol. The real one is in tests/system/test_triton.py.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from support.fake_instruments import fake_registry
from support.kserve_server import Served, configuration, serving, tensor
from support.made_datasets import make_dataset, run_folders
from support.made_results import run_instrument
from support.made_triton import DIM, KEY, MODEL, SIDE_PX, pinned_spec, record_of, reference

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models import loading
from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import ModelLost
from atlas_resources.models.protocols import Embedder, Scorer
from atlas_resources.models.servers import triton_client
from atlas_resources.models.servers.errors import RequestRefused, ServerLost, ServerMismatch
from atlas_resources.models.weights import (
    WeightsMismatch,
    WeightsMissing,
    require_weights,
    verify_weights,
    weights_folder,
)
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import read_manifest, result_path

PIXELS = np.random.default_rng(5).random((3, 3, SIDE_PX, SIDE_PX), np.float32)
NOWHERE = "http://127.0.0.1:1"  # tcpmux, which nobody serves


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def endpoint(served: Served) -> Iterator[str]:
    with serving(served) as url:
        yield url


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the address at which the instrument's server is known, and other fields of its record."""

    def set_address(url: str, **changes: Any) -> None:
        monkeypatch.setattr(loading, "require_server", lambda spec: record_of(spec, url, **changes))

    return set_address


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, at: Callable[..., None]) -> Spec:
    """The pinned spec, whose server is the small one."""
    at(endpoint)
    return pinned_spec(tmp_path, monkeypatch)


def load(spec: Spec) -> Embedder:
    model = load_model(spec)
    assert isinstance(model, Embedder)
    return model


def embed(spec: Spec, pixels: np.ndarray = PIXELS) -> np.ndarray:
    return load(spec).embed(pixels)  # type: ignore[arg-type] # an array does as well as a tensor


def run(dataset: Dataset, spec: Spec) -> list[str]:
    return run_instrument(dataset, fake_registry(spec), KEY)


def only_manifest(dataset: Dataset, plate_id: str) -> RunManifest:
    (run_id,) = run_folders(dataset, plate_id)
    return read_manifest(dataset.plate(plate_id), run_id)


def test_vectors_come_back_bit_by_bit_as_the_server_gave_them(spec: Spec):
    found = embed(spec)
    assert found.dtype == np.float32
    assert np.array_equal(found, reference(PIXELS))


def test_a_run_seals_what_the_server_gives_in_batches_of_the_spec(spec: Spec, served: Served, tmp_path: Path):
    dataset = make_dataset(tmp_path, "red", "green", "blue")
    assert run(dataset, spec) == ["complete"] * 3
    assert served.asked == [1, 2, 1]  # a grey image first
    manifest = only_manifest(dataset, "plate-001")
    assert manifest.environment.server == load(spec).server  # type: ignore[attr-defined] # of this embedder
    assert manifest.instrument.model_sha == f"museum/encoders:{MODEL}/3"


@pytest.mark.parametrize(
    "case",
    [  # what differs, what the server says of it, and what the message says
        ("server", {"name": "triton", "version": "2.50.0"}, "server: expected ('triton', '2.51.0'), found"),
        ("server", {"name": "another", "version": "2.51.0"}, "('another', '2.51.0')"),
        ("inputs", [tensor("image", -1, 3, SIDE_PX, SIDE_PX)], "inputs: expected"),
        ("inputs", [tensor("pixels", -1, 3, SIDE_PX, 16)], "inputs: expected"),
        ("inputs", [tensor("pixels", 1, 3, SIDE_PX, SIDE_PX)], "inputs: expected"),
        ("inputs", [tensor("pixels", 3, SIDE_PX, SIDE_PX)], "inputs: expected"),
        ("inputs", [{**tensor("pixels", -1, 3, SIDE_PX, SIDE_PX), "datatype": "FP16"}], "FP16"),
        ("inputs", [tensor("pixels", -1, 3, SIDE_PX, SIDE_PX), tensor("mask", -1)], "mask"),
        ("outputs", [tensor("vectors", -1, DIM + 1)], "outputs: expected [['vectors', 'FP32', [-1, 5]]], found"),
        ("outputs", [tensor("other", -1, DIM)], "outputs: expected"),
        ("outputs", [], "outputs: expected"),
        ("config", {**configuration(), "max_batch_size": 1}, "max_batch_size: expected at least the spec's batch_size"),
        ("config", {**configuration(), "max_batch_size": 3}, "config.pbtxt.max_batch_size: expected 4, found 3"),
        ("config", {**configuration(), "backend": "onnxruntime"}, "config.pbtxt.backend: expected python, found onnx"),
        ("config", {**configuration(), "instance_group": []}, "config.pbtxt.instance_group: expected"),
        ("config", {**configuration(), "instance_group": [{"kind": "KIND_GPU"}]}, "expected KIND_CPU, as `numeric`"),
        (
            "config",
            {**configuration(), "version_policy": {"specific": {"versions": ["4"]}}},
            "config.pbtxt.version_policy.specific.versions.0: expected 3, found 4",
        ),
    ],
)
def test_a_server_of_something_else_is_refused_before_measuring(
    spec: Spec, served: Served, tmp_path: Path, case: tuple[str, object, str]
):
    part, value, found = case
    setattr(served, part, value)
    with pytest.raises(ServerMismatch) as caught:
        run(make_dataset(tmp_path, "red"), spec)
    assert found in str(caught.value)
    assert f"`atlas models serve {KEY}`" in str(caught.value)
    assert served.asked == []


def test_open_sides_and_further_outputs_are_accepted(spec: Spec, served: Served):
    served.inputs = [tensor("pixels", -1, 3, -1, -1)]
    served.outputs = [tensor("logits", -1, 7), tensor("vectors", -1, DIM)]
    assert np.array_equal(embed(spec), reference(PIXELS))


def test_a_version_that_the_server_lacks_is_refused(spec: Spec, served: Served):
    served.versions = [4]
    with pytest.raises(RequestRefused, match=rf"{MODEL}/3: \[404\] Request for unknown model"):
        embed(spec)


def test_without_a_server_the_run_ends_before_any_plate(spec: Spec, at: Callable[..., None], tmp_path: Path):
    at(NOWHERE)
    dataset = make_dataset(tmp_path, "red")
    with pytest.raises(ServerLost, match=f"{NOWHERE} does not answer: ConnectionRefusedError"):
        run(dataset, spec)
    assert run_folders(dataset, "plate-001") == []


def test_a_server_that_dies_ends_the_run_and_the_next_one_measures_the_rest(spec: Spec, served: Served, tmp_path: Path):
    dataset = make_dataset(tmp_path, "red", "green", "blue", "ochre", "teal")
    served.dies_after = 2
    with pytest.raises(ModelLost, match="has lost its server while measuring plate-003, plate-004: http"):
        run(dataset, spec)
    assert [len(run_folders(dataset, plate_id)) for plate_id in dataset.plate_ids()] == [1, 1, 0, 0, 0]
    served.dies_after = None
    assert run(dataset, spec) == ["reused"] * 2 + ["complete"] * 3


def test_a_server_that_is_silent_for_too_long_is_lost(spec: Spec, served: Served, monkeypatch: pytest.MonkeyPatch):
    model: Any = load(spec)
    client = model.tensors.client
    assert client.silence_seconds == triton_client.SILENCE_SECONDS == 300
    client.silence_seconds, served.silent_seconds = 0.2, 2.0
    with pytest.raises(ServerLost, match="TimeoutError"):
        model.embed(PIXELS)


def _refuse_magenta(pixels: np.ndarray) -> np.ndarray:
    if (pixels[:, 1].mean(axis=(1, 2)) < 0.1).any():
        raise ValueError("magenta is refused")
    return reference(pixels)


@pytest.mark.parametrize("status", [400, 500])
def test_a_refused_request_costs_its_plate_alone(spec: Spec, served: Served, tmp_path: Path, status: int):
    served.vectors, served.status = _refuse_magenta, status
    dataset = make_dataset(tmp_path, "red", "magenta", "blue")
    assert run(dataset, spec) == ["complete", "failed", "complete"]
    error = only_manifest(dataset, "plate-002").error
    assert error
    assert (error.type, error.stage) == ("RequestRefused", "compute")
    assert f"[{status}] magenta is refused" in error.message


def test_a_model_that_refuses_everything_after_an_error_ends_the_run(spec: Spec, served: Served, tmp_path: Path):
    """As Triton's Python backend does once its process has ended. Otherwise every plate after it would fail."""
    dead: list[str] = []

    def die_of_magenta(pixels: np.ndarray) -> np.ndarray:
        try:
            _refuse_magenta(pixels)
        except ValueError:
            dead.append("of magenta")
        if dead:
            raise ValueError("Stub process 'plate_encoder_0_0' is not healthy.")
        return reference(pixels)

    served.vectors, served.status = die_of_magenta, 500
    dataset = make_dataset(tmp_path, "red", "blue", "magenta", "teal", "green")
    with pytest.raises(ModelLost, match=r"lost its server while measuring plate-003, plate-004: .*not healthy.*grey"):
        run(dataset, spec)
    assert [len(run_folders(dataset, plate_id)) for plate_id in dataset.plate_ids()] == [1, 1, 0, 0, 0]
    served.vectors = reference
    assert run(dataset, spec) == ["reused"] * 2 + ["complete"] * 3


BROKEN: list[tuple[Callable[[np.ndarray], np.ndarray], str]] = [
    (lambda vectors: vectors[:, :4].copy(), "expected float32 [1, 5], found float32 [1, 4]"),
    (lambda vectors: np.concatenate([vectors, vectors]), "found float32 [2, 5]"),
    (lambda vectors: vectors.astype(np.float64), "found float64 [1, 5]"),
    (lambda vectors: vectors * np.float32(np.nan), "expected finite numbers, found 5 that are not"),
]


@pytest.mark.parametrize(("broken", "found"), BROKEN, ids=["length", "count", "type", "not a number"])
def test_an_answer_that_breaks_the_contract_fails_its_plate(
    spec: Spec, served: Served, tmp_path: Path, broken: Callable[[np.ndarray], np.ndarray], found: str
):
    def break_magenta(pixels: np.ndarray) -> np.ndarray:
        is_magenta = (pixels[:, 1].mean(axis=(1, 2)) < 0.1).any()
        return broken(reference(pixels)) if is_magenta else reference(pixels)

    served.vectors = break_magenta
    dataset = make_dataset(tmp_path, "magenta", "red")
    assert run(dataset, spec) == ["failed", "complete"]
    error = only_manifest(dataset, "plate-001").error
    assert error
    assert found in error.message


@pytest.mark.parametrize(("broken", "found"), BROKEN, ids=["length", "count", "type", "not a number"])
def test_a_server_that_breaks_it_from_the_start_is_refused_before_measuring(
    spec: Spec, served: Served, broken: Callable[[np.ndarray], np.ndarray], found: str
):
    served.vectors = lambda pixels: broken(reference(pixels))
    with pytest.raises(RequestRefused) as caught:
        load(spec)
    assert found in str(caught.value)


LABELS = ["bird", "plant", "map", "coin", "seal"]
SCORES = {"kind": "scores", "labels": "wikiart", "count": DIM, "dtype": "float32", "calibration": "uncalibrated"}


@pytest.mark.parametrize("activation", [None, "sigmoid", "identity"])
def test_a_probe_gives_logits_and_scores_by_the_declared_activation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, at: Callable[..., None], activation: str | None
):
    at(endpoint)
    output = {**SCORES, "label_names": LABELS, "activation": activation}
    model = load_model(pinned_spec(tmp_path, monkeypatch, role="probe", output=output))
    assert isinstance(model, Scorer)
    assert [label.name for label in model.labels] == LABELS
    logits, scores = model.score(PIXELS)  # type: ignore[arg-type] # an array does as well as a tensor
    expected = torch.from_numpy(reference(PIXELS))
    scored = {None: expected.softmax(dim=1), "sigmoid": expected.sigmoid(), "identity": expected}[activation]
    assert np.array_equal(logits, expected.numpy())
    assert scores.dtype == np.float32
    assert np.abs(scores - scored.numpy()).max() < 1e-6


def test_a_probe_is_sealed_with_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, at: Callable[..., None]
):
    at(endpoint)
    spec = pinned_spec(tmp_path, monkeypatch, role="probe", output={**SCORES, "label_names": LABELS})
    dataset = make_dataset(tmp_path, "red")
    assert run(dataset, spec) == ["complete"]
    rows = pl.read_parquet(result_path(dataset.plate("plate-001"), only_manifest(dataset, "plate-001")))
    assert rows["label"].to_list() == LABELS
    assert abs(rows["score"].sum() - 1) < 1e-6


def test_a_probe_names_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, at: Callable[..., None]
):
    at(endpoint)
    spec = pinned_spec(tmp_path, monkeypatch, role="probe", output=SCORES)
    with pytest.raises(ValueError, match=r"expected output\.label_names.*found no names"):
        load_model(spec)


def test_of_a_server_of_somebody_else_the_configuration_is_not_compared(
    spec: Spec, served: Served, endpoint: str, at: Callable[..., None]
):
    served.config = {**configuration(), "backend": "onnxruntime"}
    at(endpoint, attested_by="the museum's computing centre", files={}, command=[], process_id=None)
    assert np.array_equal(embed(spec), reference(PIXELS))


def test_files_that_changed_after_the_server_started_stop_the_run(spec: Spec):
    path = weights_folder(spec.weights) / f"{MODEL}/3/model.py"  # type: ignore[arg-type] # it has weights
    path.write_text(path.read_text() + "\n", encoding="utf-8")
    with pytest.raises(WeightsMismatch, match=r"model\.py is not the pinned file"):
        embed(spec)


def test_a_missing_file_names_the_place_where_it_belongs(spec: Spec):
    path = weights_folder(spec.weights) / f"{MODEL}/3/weights.npz"  # type: ignore[arg-type] # it has weights
    path.unlink()
    assert "hub/repository--museum--encoders/snapshots/plate_encoder-3/" in str(path)
    with pytest.raises(WeightsMissing, match=f"expected {path}"):
        require_weights(spec)
    assert [report.status for report in verify_weights(spec)] == ["ok", "ok", "missing"]
