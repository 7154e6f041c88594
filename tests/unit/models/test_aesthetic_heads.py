"""The real aesthetic heads rate seeded vectors as their authors' networks do in torch, and as NumPy computes it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from support.hub_server import Commit, Repository
from support.made_datasets import make_dataset
from support.made_hubs import Bench, bench, only_loopback  # noqa: F401 - fixtures
from support.made_results import GivenVectors, measure
from support.made_specs import content_of, project_spec, with_field, write_spec
from support.real_heads import put_real_head, wants_real_heads
from torch import nn

from atlas_assets.roles.probe import ProbeWork
from atlas_resources.instruments.registry import read_registry
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Scorer
from atlas_resources.models.weights import WeightsMismatch, WeightsMissing, require_weights
from atlas_resources.runs.execution import execute_run
from atlas_resources.runs.sealed import find_done

IMPROVED, V1_L14, V1_B32 = (
    "aesthetics_improved_clip_vit_large_patch14",
    "aesthetics_v1_vit_large_patch14",
    "aesthetics_v1_vit_base_patch32",
)
DIMS = {IMPROVED: 768, V1_L14: 768, V1_B32: 512}
COMMIT = "6934dd81792f086e613a121dbce43082cb8be85e"


def vectors(dim: int) -> torch.Tensor:
    """Eight seeded vectors of the lengths that CLIP's have, about 10."""
    return torch.randn(8, dim, generator=torch.Generator().manual_seed(7)) * 10 / dim**0.5


def unit(batch: torch.Tensor) -> torch.Tensor:
    return batch / batch.norm(dim=-1, keepdim=True)


def reference(key: str, path: Path, batch: torch.Tensor) -> torch.Tensor:
    """The authors' networks as they define them, with the real weights."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    if key != IMPROVED:
        return nn.functional.linear(unit(batch), state["weight"], state["bias"])
    layers = nn.Sequential(
        nn.Linear(768, 1024), nn.Dropout(0.2), nn.Linear(1024, 128), nn.Dropout(0.2), nn.Linear(128, 64),
        nn.Dropout(0.1), nn.Linear(64, 16), nn.Linear(16, 1),
    )  # fmt: skip
    layers.load_state_dict({name.removeprefix("layers."): value for name, value in state.items()})
    return layers.eval()(unit(batch))


def by_numpy(path: Path, batch: torch.Tensor) -> np.ndarray:
    """In float64, layer after layer: without an activation between them, five layers are one affine map."""
    state = {
        name: value.double().numpy() for name, value in torch.load(path, map_location="cpu", weights_only=True).items()
    }
    found = batch.double().numpy()
    found = found / np.sqrt((found**2).sum(axis=1, keepdims=True))
    for name in [name for name in state if name.endswith("weight")]:
        found = found @ state[name].T + state[name.replace("weight", "bias")]
    return found


@wants_real_heads
@pytest.mark.parametrize("key", DIMS)
def test_a_rating_is_that_of_the_reference(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = project_spec(key)
    path = put_real_head(spec, tmp_path, monkeypatch)
    model = load_model(spec)
    assert isinstance(model, Scorer)
    batch = vectors(DIMS[key])
    logits, scores = model.score(batch)
    with torch.inference_mode():
        expected = reference(key, path, batch).numpy()
    assert (logits.dtype, logits.shape) == (np.float32, (8, 1))
    np.testing.assert_array_equal(logits, scores)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(logits, by_numpy(path, batch), atol=1e-4)
    assert np.ptp(logits) > 0.01


@wants_real_heads
def test_the_length_of_a_vector_does_not_matter_and_a_zero_vector_has_a_rating(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spec = project_spec(IMPROVED)
    put_real_head(spec, tmp_path, monkeypatch)
    model = load_model(spec)
    assert isinstance(model, Scorer)
    batch = vectors(768)
    np.testing.assert_allclose(model.score(batch * 3)[0], model.score(batch)[0], atol=1e-4)
    assert np.isfinite(model.score(torch.zeros(1, 768))[0]).all()


@wants_real_heads
def test_a_rating_is_sealed_from_the_sealed_vector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """CLIP's vectors are given, so that no GPU is needed."""
    registry, clip = read_registry(), "clip_vit_large_patch14"
    spec, dataset = project_spec(IMPROVED), make_dataset(tmp_path, "red", "blue")
    path = put_real_head(spec, tmp_path / "hub", monkeypatch)
    given = {name: vector.tolist() for name, vector in zip(("plate-001", "plate-002"), vectors(768), strict=False)}
    measure(dataset, registry, clip, GivenVectors(given), ["plate-001"])
    work = ProbeWork(spec, lambda: load_model(spec))
    outcomes = execute_run(dataset, registry.instruments[IMPROVED], ["plate-001", "plate-002"], work)
    assert {outcome.plate_id: outcome.status for outcome in outcomes} == {
        "plate-001": "complete",
        "plate-002": "failed",
    }
    manifest = find_done(dataset.plate("plate-001"), registry.instruments[IMPROVED].identity)
    assert manifest is not None
    rows = pl.read_parquet(dataset.plate("plate-001").runs_folder / manifest.run_id / "probe_scores.parquet")
    with torch.inference_mode():
        expected = float(reference(IMPROVED, path, torch.tensor([given["plate-001"]])))
    assert rows["score"][0] == pytest.approx(expected, abs=1e-4)
    assert rows.select("label", "activation", "calibration", "cosine", "prompt_id").row(0) == (
        "aesthetic rating", "identity", "uncalibrated", None, None,
    )  # fmt: skip
    identity = registry.instruments[IMPROVED].identity
    assert (identity.licence, identity.commercial_use) == ("Apache-2.0 AND MIT", "yes")


@wants_real_heads
def test_a_head_of_another_form_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = project_spec(IMPROVED)
    put_real_head(spec, tmp_path, monkeypatch)
    with pytest.raises(WeightsMismatch, match="expected a linear head"):
        load_model(spec.model_copy(update={"parameters": {"head": "linear"}}))


def head_spec(bench: Bench, content: bytes) -> None:  # noqa: F811
    """The improved head's spec with its file on the running server, and the spec of its upstream in the same folder."""
    import hashlib

    url = f"{bench.fake.storage}/someone/heads/{COMMIT}/head.pth"
    file = {"path": "head.pth", "format": "pickle", "sha256": hashlib.sha256(content).hexdigest(), "url": url}
    bench.fake.repositories["someone/heads"] = Repository({COMMIT: Commit({"head.pth": content})}, {}, {})
    weights = {"kind": "git", "repository": "someone/heads", "revision": COMMIT, "files": [file]}
    write_spec(bench.specs, with_field(content_of(IMPROVED), ("weights",), weights))
    write_spec(bench.specs, content_of("clip_vit_large_patch14"))


def test_a_file_of_a_git_repository_is_pulled_and_its_digest_checked(bench: Bench):  # noqa: F811 - the fixture
    head_spec(bench, b"a head")
    spec = read_registry(bench.specs).require(IMPROVED)
    with pytest.raises(WeightsMissing, match=f"head.pth is not on disk.*atlas models pull {IMPROVED}"):
        require_weights(spec)
    pulled = bench.atlas("pull", IMPROVED)
    assert pulled.exit_code == 0, pulled.output
    path = bench.cache / "git--someone--heads" / "snapshots" / COMMIT / "head.pth"
    assert path.read_bytes() == b"a head"
    assert require_weights(spec).only_file() == path
    again = bench.atlas("pull", IMPROVED)
    assert again.stdout.startswith("there ")
    assert "ok" in bench.atlas("verify", IMPROVED).stdout


def test_another_file_in_its_place_is_not_kept(bench: Bench):  # noqa: F811 - the fixture
    head_spec(bench, b"a head")
    bench.fake.repositories["someone/heads"].commits[COMMIT].files["head.pth"] = b"b head"
    pulled = bench.atlas("pull", IMPROVED)
    assert pulled.exit_code == 1
    assert "head.pth is not the pinned file" in pulled.stderr
    assert not (bench.cache / "git--someone--heads" / "snapshots" / COMMIT / "head.pth").exists()


def test_an_address_without_the_commit_is_a_broken_pin(tmp_path: Path):
    content = with_field(content_of(IMPROVED), ("weights", "files", 0, "url"), "https://example.org/main/head.pth")
    write_spec(tmp_path, content)
    (problem,) = read_registry(tmp_path).problems
    assert f"expected a url that names the commit {COMMIT}" in str(problem)
