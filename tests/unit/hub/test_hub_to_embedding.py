"""A new model from pin to vector: pinned, completed, pulled (cut off, then resumed), verified, loaded, run."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
import yaml
from huggingface_hub.errors import OfflineModeIsEnabled
from support.hub_server import Commit, Fault
from support.made_checkpoints import SIDE_PX, clip_vision, dinov2, full_clip, put_in_hub_cache
from support.made_hubs import MODEL, REVISION, TOKEN, Bench, bench, only_loopback
from support.made_specs import project_spec, write_spec
from support.network import shut_network

from atlas_resources.hub.client import Hub
from atlas_resources.hub.planning import Step, plan_pull
from atlas_resources.hub.pulling import pull
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.weights import LibraryWeights, WeightFile
from atlas_resources.models import loading as inference
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Embedder
from atlas_resources.models.weights import WeightsMissing, hub_offline, require_weights

__all__ = ["bench", "only_loopback", "shut_network"]  # fixtures

PROCESSOR = {
    "do_resize": True,
    "size": {"shortest_edge": SIDE_PX},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": SIDE_PX, "width": SIDE_PX},
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
DECLARED = {
    "licence": {"spdx": "unknown", "commercial_use": "unknown", "source": "made for a test"},
    "output": {"kind": "vector", "dim": 24, "dtype": "float32", "pooled_feature": "projected_image_embedding"},
    "numeric": {"dtype": "float32", "device": "cpu"},
    "failure_modes": [{"fact": "Its weights are drawn at random.", "source": "made_checkpoints.py"}],
    "objective": "contrastive_image_text",
}


@pytest.fixture
def studio(bench: Bench, tmp_path: Path) -> Bench:
    """The hub serves a tiny CLIP, saved by transformers."""
    full_clip().save_pretrained(tmp_path / "saved")
    files = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    files["preprocessor_config.json"] = json.dumps(PROCESSOR).encode()
    bench.repository.commits[REVISION] = Commit(files)
    return bench


def test_from_the_hub_to_an_embedding(studio: Bench, request: pytest.FixtureRequest):
    assert studio.atlas("pin", f"{MODEL}@v1", "--write", "--key", "new").exit_code == 0
    draft = yaml.safe_load((studio.specs / "new.yaml").read_text(encoding="utf-8"))
    write_spec(studio.specs, {**draft, **DECLARED})
    registry = read_registry(studio.specs)
    spec = registry.specs["new"]
    assert spec.key in registry.instruments
    with pytest.raises(WeightsMissing, match="`atlas models pull new` fetches it"):
        load_model(spec)

    weights = ("GET", "/model.safetensors")
    studio.fake.faults += [Fault(*weights, cut=20_000, times=2), Fault(*weights, status=503, times=3)]
    assert "It was cut off at 20000 of" in studio.atlas("pull", "new").stderr
    assert studio.atlas("pull", "new").exit_code == 0
    assert [asked.headers.get("range") for asked in studio.fake.asked(*weights)][-1] == "bytes=20000-"
    assert studio.atlas("verify", "new").exit_code == 0

    request.getfixturevalue("shut_network")
    embedder = load_model(spec)
    assert isinstance(embedder, Embedder)
    batch = torch.rand(2, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(1))
    found = embedder.embed(batch)
    network: Any = full_clip()  # the one that was saved, in memory
    with torch.inference_mode():
        reference = network.get_image_features(pixel_values=batch).pooler_output
    assert found.shape == (2, 24)
    np.testing.assert_allclose(found, reference.numpy(), atol=1e-5)


@pytest.mark.parametrize("network", [full_clip, clip_vision, dinov2])
def test_a_tiny_checkpoint_is_seeded(network):
    """The reference above is the same network as the one that was saved."""
    first, second = network().state_dict(), network().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_hub_is_offline_while_a_model_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = put_in_hub_cache(dinov2(), project_spec("dinov2_base"), tmp_path, monkeypatch)

    def asks_the_hub(*arguments: object) -> None:
        huggingface_hub.HfApi(endpoint="http://127.0.0.1:9").model_info(MODEL)

    monkeypatch.setattr(inference, "loader_of", lambda spec: asks_the_hub)
    with pytest.raises(OfflineModeIsEnabled):
        load_model(spec)
    assert not huggingface_hub.is_offline_mode()


def test_the_hub_stays_offline_until_the_last_of_two_loads_ends():
    first, second = hub_offline(), hub_offline()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert huggingface_hub.is_offline_mode()
    second.__exit__(None, None, None)
    assert not huggingface_hub.is_offline_mode()


def test_a_redirect_to_another_hub_carries_no_token(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub.utils import _http

    trusted = {*_http._HUB_ORIGINS, _http._url_origin(bench.fake.storage)}
    monkeypatch.setattr(_http, "_HUB_ORIGINS", trusted)  # as the public hub is, behind a mirror
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    location = f"{bench.fake.storage}/{MODEL}/{REVISION}/model.safetensors"
    bench.fake.faults.append(Fault("HEAD", "/model.safetensors", status=307, headers={"Location": location}))
    bench.atlas("pull", "tiny_clip")
    elsewhere = [asked for asked in bench.fake.requests if asked.origin == bench.fake.storage]
    assert [asked.method for asked in elsewhere] == ["HEAD"]
    assert {asked.authorization for asked in elsewhere} == {None}


def test_the_hubs_library_makes_no_request_of_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub.utils import _detect_agent

    asked: list[bool] = []
    monkeypatch.setattr(_detect_agent, "_registry", None)
    monkeypatch.setattr(_detect_agent, "_load_registry", lambda: asked.append(True) or {})
    assert bench.atlas("pin", MODEL).exit_code == bench.atlas("pull", "tiny_clip").exit_code == 0
    assert asked == []
    assert all(MODEL in request.path for request in bench.fake.requests)


def plan_served(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sha256: str) -> Step:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    url = f"{bench.fake.storage}/{MODEL}/{REVISION}/model.safetensors"
    spec = project_spec("sam_vit_base")
    assert isinstance(spec.weights, LibraryWeights)
    served = WeightFile(path="sam.pth", format="pickle", sha256=sha256, url=url)
    weights = spec.weights.model_copy(update={"files": [served]})
    (step,) = plan_pull(Hub(bench.fake.endpoint, TOKEN), spec.model_copy(update={"weights": weights}))
    return step


def test_a_librarys_weights_come_from_the_address_in_their_spec(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from support.made_hubs import WEIGHTS, sha256

    step = pull(plan_served(bench, monkeypatch, tmp_path, sha256(WEIGHTS)))
    assert step.state == "fetched", step.detail
    assert (tmp_path / "torch" / "hub" / "checkpoints" / "sam.pth").read_bytes() == WEIGHTS
    assert {asked.authorization for asked in bench.fake.requests} == {None}


def test_a_librarys_weights_of_another_digest_are_removed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    step = pull(plan_served(bench, monkeypatch, tmp_path, "0" * 64))
    assert step.state == "failed"
    assert f"expected sha256 {'0' * 64}" in step.detail
    assert not list((tmp_path / "torch" / "hub" / "checkpoints").glob("sam.pth*"))


def test_too_little_space_is_reported_before_the_disk_is_full(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    class Usage:
        free = 1000

    monkeypatch.setattr("atlas_resources.hub.pulling.shutil.disk_usage", lambda folder: Usage)
    result = bench.atlas("pull", "tiny_clip")
    assert "model.safetensors: 16384 bytes are missing and 1000 are free in" in result.stderr
    assert "Free some space, or set HF_HUB_CACHE to another cache." in result.stderr


def test_a_cache_that_cannot_be_written_is_reported(bench: Bench):
    bench.cache.parent.mkdir(exist_ok=True)
    bench.cache.write_text("a file where a folder is expected")
    result = bench.atlas("pull", "tiny_clip")
    assert "model.safetensors: cannot be written: " in result.stderr
    assert result.exit_code == 1


def test_require_weights_finds_what_was_pulled(bench: Bench):
    assert bench.atlas("pull", "tiny_clip").exit_code == 0
    spec = read_registry(bench.specs).specs["tiny_clip"]
    assert require_weights(spec).folder == bench.snapshot
