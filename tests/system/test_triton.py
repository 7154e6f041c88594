"""A real Triton server gives what the same network gives in process, and a run survives its death."""

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from support.fake_instruments import fake_registry
from support.made_datasets import make_dataset, run_folders
from support.made_results import run_instrument
from support.made_triton import KEY, MODEL, VERSION, pinned_spec, reference
from support.processes import descendants, listening_addresses
from support.triton_server import Triton, running, wants_triton

from atlas_assets.roles.works import build_work
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import ModelLost
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Embedder
from atlas_resources.models.servers.records import ServerMissing, read_records, write_record
from atlas_resources.models.servers.running import why_other_model
from atlas_resources.models.weights import weights_folder
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode_source
from atlas_resources.runs.execution import execute_run
from atlas_resources.runs.sealed import read_manifest, result_path
from atlas_resources.serving.finding import ServingFailed
from atlas_resources.serving.probing import ProbeRefused, attested_record, probe

pytestmark = [pytest.mark.system, wants_triton]

TOLERANCE = 1e-6
"""Largest difference of a component, whose size is about 0.5: sums of 48 products of float32 in another order."""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spec:
    """The pinned spec, and a folder of the test's own for the records of servers."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return pinned_spec(tmp_path, monkeypatch)


@pytest.fixture
def server(spec: Spec) -> Iterator[Triton]:
    with running(spec) as triton:
        yield triton


def load(spec: Spec) -> Embedder:
    model = load_model(spec)
    assert isinstance(model, Embedder)
    return model


def inputs_of(spec: Spec, images: list[Image.Image]) -> np.ndarray:
    assert spec.preprocessing
    preprocess = build_preprocess(spec.preprocessing)
    return np.stack([np.asarray(preprocess(image)) for image in images])


def sealed_vectors(dataset: Dataset, plate_id: str) -> np.ndarray:
    (run_id,) = run_folders(dataset, plate_id)
    plate = dataset.plate(plate_id)
    return pl.read_parquet(result_path(plate, read_manifest(plate, run_id)))["vector"].to_numpy()


def test_served_vectors_are_those_of_the_network_in_process(spec: Spec, server: Triton):
    pixels = np.random.default_rng(5).random((4, 3, 32, 32), np.float32)
    found = load(spec).embed(pixels)  # type: ignore[arg-type] # an array does as well as a tensor
    assert (found.dtype, found.shape) == (np.float32, (4, 5))
    assert np.abs(found - reference(pixels)).max() < TOLERANCE
    assert np.abs(reference(pixels)).max() > 0.1
    assert np.abs(found[0] - found[1]).max() > 100 * TOLERANCE  # otherwise the equality would prove little


def test_a_run_seals_them_and_a_refused_plate_fails_alone(spec: Spec, server: Triton, tmp_path: Path):
    dataset = make_dataset(tmp_path, "red", "magenta", "blue")
    assert run_instrument(dataset, fake_registry(spec), KEY) == ["complete", "failed", "complete"]
    images = [decode_source(dataset.plate(plate_id)).image for plate_id in ("plate-001", "plate-003")]
    expected = reference(inputs_of(spec, images))
    found = np.stack([sealed_vectors(dataset, plate_id)[0] for plate_id in ("plate-001", "plate-003")])
    assert np.abs(found - expected).max() < TOLERANCE
    (run_id,) = run_folders(dataset, "plate-002")
    error = read_manifest(dataset.plate("plate-002"), run_id).error
    assert error
    assert error.type == "RequestRefused"
    assert "magenta is refused" in error.message


def test_a_server_killed_in_the_middle_costs_no_plate(spec: Spec, tmp_path: Path):
    dataset = make_dataset(tmp_path, "red", "green", "blue", "ochre", "teal")
    registry = fake_registry(spec)
    instrument = registry.instruments[KEY]
    work = build_work(instrument, lambda: load_model(spec))
    with running(spec) as server:
        outcomes = execute_run(dataset, instrument, dataset.plate_ids(), work)
        first = [next(outcomes).status, next(outcomes).status]
        server.kill()
        with pytest.raises(ModelLost, match="has lost its server while measuring plate-003, plate-004"):
            list(outcomes)
    assert first == ["complete"] * 2
    assert [len(run_folders(dataset, plate_id)) for plate_id in dataset.plate_ids()] == [1, 1, 0, 0, 0]
    with running(spec):
        assert run_instrument(dataset, registry, KEY) == ["reused"] * 2 + ["complete"] * 3


def test_a_process_of_the_model_that_dies_ends_the_run(spec: Spec, server: Triton, tmp_path: Path):
    """Triton calls the model ready all the same, and would refuse every plate that comes after."""
    model = load(spec)
    (stub,) = [
        pid for pid in descendants(server.process.pid) if "triton_python" in Path(f"/proc/{pid}/comm").read_text()
    ]
    os.kill(stub, signal.SIGKILL)
    with pytest.raises(ModelLost, match=r"not healthy.*and then of a plain grey image: .*not healthy"):
        model.embed(np.ones((1, 3, 32, 32), np.float32))  # type: ignore[arg-type] # an array does as well as a tensor
    with urllib.request.urlopen(f"{server.endpoint}/v2/models/{MODEL}/ready", timeout=10) as response:  # noqa: S310 - loopback
        assert response.status == 200
    server.kill()  # asked to end, it waits for the dead process


def test_a_server_of_other_pins_is_something_else(spec: Spec, server: Triton):
    content = spec.model_dump(mode="json")
    newer = Spec.model_validate({**content, "served": {"program": "triton", "version": "2.52.0"}})
    with pytest.raises(ServerMissing, match=r"served by something else: .* version is 2\.51\.0, declared 2\.52\.0"):
        load_model(newer)
    content["weights"]["files"][0]["sha256"] = "0" * 64
    with pytest.raises(ServerMissing, match=r"plate_encoder/config\.pbtxt has sha256 .*, declared 0000"):
        load_model(Spec.model_validate(content))


def attested(spec: Spec, server: Triton, **changes: Any) -> Spec:
    """The spec with the server as one that somebody else runs, and with other changes."""
    who = {"endpoint": server.endpoint, "model_name": MODEL, "attested_by": "the museum's computing centre"}
    content = spec.model_dump(mode="json")
    return Spec.model_validate({**content, "served": {**content["served"], **who}, **changes})


def test_a_server_of_somebody_else_is_asked_once_it_is_probed(spec: Spec, server: Triton):
    theirs = attested(spec, server)
    record = attested_record(theirs, datetime.now(UTC))
    assert why_other_model(record) is None
    honoured, notes = probe(theirs, record, has_schema=False, token_ids={})
    assert (honoured, notes) == (
        {},
        ["model: name, version and tensors are as the spec declares them; a grey image was answered"],
    )
    write_record("theirs", record)
    pixels = np.ones((1, 3, 32, 32), np.float32)
    assert np.abs(load(theirs).embed(pixels) - reference(pixels)).max() < TOLERANCE  # type: ignore[arg-type] # an array


def test_what_a_server_serves_is_compared_with_the_spec(spec: Spec, server: Triton):
    content = spec.model_dump(mode="json")
    files = [{**file, "path": file["path"].replace("/3/", "/4/")} for file in content["weights"]["files"]]
    for changes, found in [
        ({"output": {**content["output"], "dim": 6}}, r"outputs: expected .*6.*, found .*5"),
        ({"batch_size": 8}, "max_batch_size: expected at least the spec's batch_size of 8, found 4"),
        ({"numeric": {"dtype": "float32", "device": "cuda"}}, "instance_group: expected KIND_GPU"),
        ({"weights": {**content["weights"], "version": 4, "files": files}}, f"{MODEL}/4: .*404"),
    ]:
        other = attested(spec, server, **changes)
        with pytest.raises(ProbeRefused, match=found):
            probe(other, attested_record(other, datetime.now(UTC)), has_schema=False, token_ids={})


def test_a_server_that_is_not_as_declared_is_ended_at_once(spec: Spec):
    content = spec.model_dump(mode="json")
    longer = Spec.model_validate({**content, "output": {**content["output"], "dim": 6}})
    with pytest.raises(ProbeRefused, match="outputs: expected"), running(longer):
        pass
    assert read_records() == {}


def test_only_the_declared_version_of_the_program_is_started(spec: Spec):
    newer = Spec.model_validate({**spec.model_dump(mode="json"), "served": {"program": "triton", "version": "2.52.0"}})
    with pytest.raises(ServingFailed, match=r"expected triton 2\.52\.0, found 2\.51\.0"), running(newer):
        pass


def test_it_listens_on_loopback_only(server: Triton):
    pids = [server.process.pid, *descendants(server.process.pid)]
    assert listening_addresses(pids) == {"127.0.0.1"}


def test_nothing_of_the_model_can_be_changed_while_it_is_served(spec: Spec, server: Triton):
    """The model cannot be loaded anew or unloaded, and code that is compiled is not left next to the pinned files."""
    for action in ("load", "unload"):
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{server.endpoint}/v2/repository/models/{MODEL}/{action}", b"{}", method="POST"
        )
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10)  # noqa: S310 - loopback
    load(spec)
    source = weights_folder(spec.weights) / MODEL  # type: ignore[arg-type] # it has weights
    assert {path.name for path in source.iterdir()} == {"config.pbtxt", str(VERSION)}
    assert {path.name for path in (source / str(VERSION)).iterdir()} == {"model.py", "weights.npz"}
