"""Pinned weights are brought from a shared folder or a store, verified, and named where they are missing."""

import hashlib
from pathlib import Path

import pytest
from huggingface_hub import constants
from support.fake_instruments import fake_spec
from support.made_stores import memory_store

from atlas_resources.hub.syncing import check, send, sync
from atlas_resources.instruments.spec.weights import HubWeights, WeightFile
from atlas_resources.store.folder import FolderStore

REVISION = "0123456789abcdef0123456789abcdef01234567"
CONTENTS = {"model.safetensors": b"weights", "config.json": b"{}"}
KEY = f"models--owner--name/snapshots/{REVISION}/model.safetensors"


@pytest.fixture
def spec():
    files = [
        WeightFile(
            path=name,
            format="safetensors" if name.endswith("s") else "json",
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
        )
        for name, content in CONTENTS.items()
    ]
    weights = HubWeights(kind="hub", repository="owner/name", revision=REVISION, files=files)
    return fake_spec("made").model_copy(update={"weights": weights})


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path) -> FolderStore:
    folder = tmp_path / "shared" / f"models--owner--name/snapshots/{REVISION}"
    folder.mkdir(parents=True)
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return FolderStore(tmp_path / "shared")


def states(files) -> dict[str, str]:
    return {file.name: file.state for file in files}


def test_a_machine_without_weights_names_each_file(spec, cache):
    assert states(check(spec)) == dict.fromkeys(CONTENTS, "missing")


def test_what_is_missing_is_fetched_and_kept_the_next_time(spec, cache, source):
    assert states(sync(spec, source)) == dict.fromkeys(CONTENTS, "fetched")
    assert (cache / KEY).read_bytes() == b"weights"
    assert states(sync(spec, source)) == states(check(spec)) == dict.fromkeys(CONTENTS, "there")


def test_what_was_interrupted_goes_on_with_the_other_files(spec, cache, source):
    next(iter(sync(spec, source)))
    assert sorted(states(sync(spec, source)).values()) == ["fetched", "there"]


def test_a_file_with_other_bytes_is_replaced_by_the_pinned_one(spec, cache, source):
    list(sync(spec, source))
    (cache / KEY).write_bytes(b"other")
    assert states(check(spec))["model.safetensors"] == "wrong"
    assert states(sync(spec, source))["model.safetensors"] == "fetched"
    assert (cache / KEY).read_bytes() == b"weights"


def test_a_source_with_other_bytes_changes_nothing_here(spec, cache, source, tmp_path):
    (tmp_path / "shared" / KEY).write_bytes(b"other")
    found = {file.name: file for file in sync(spec, source)}
    assert found["model.safetensors"].state == "wrong"
    assert f"expected sha256 {hashlib.sha256(b'weights').hexdigest()}" in found["model.safetensors"].detail
    assert not (cache / KEY).exists()
    assert list((cache / KEY).parent.glob(".*")) == []


def test_a_source_without_a_file_is_named_with_its_key(spec, cache, tmp_path):
    (missing, _) = sync(spec, FolderStore(tmp_path / "empty"))
    assert (missing.state, missing.is_here) == ("missing", False)
    assert missing.detail == f"{tmp_path / 'empty'} has no {KEY}"


def test_weights_are_sent_to_a_store_and_fetched_from_it(spec, cache, source, monkeypatch, tmp_path):
    list(sync(spec, source))
    bucket = memory_store()
    assert states(send(spec, bucket)) == dict.fromkeys(CONTENTS, "sent")
    assert states(send(spec, bucket)) == dict.fromkeys(CONTENTS, "there")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "other"))
    assert states(send(spec, bucket)) == dict.fromkeys(CONTENTS, "missing")
    assert states(sync(spec, bucket)) == dict.fromkeys(CONTENTS, "fetched")
