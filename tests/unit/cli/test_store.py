"""`atlas store` and `atlas models sync`, over a folder as the store: what they say, and how they fail."""

from pathlib import Path

import pytest
from support.made_datasets import make_dataset
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_resources.plates.dataset import Dataset
from atlas_resources.sharing.layout import claim_key
from atlas_resources.store.folder import FolderStore
from atlas_resources.store.leases import Leases


@pytest.fixture
def store(tmp_path, monkeypatch) -> FolderStore:
    monkeypatch.setenv("ATLAS_STORE", str(tmp_path / "store"))
    return FolderStore(tmp_path / "store")


@pytest.fixture
def library(tmp_path, monkeypatch) -> Dataset:
    made = make_dataset(tmp_path / "here", "red", "green")
    monkeypatch.setenv("ATLAS_HOME", str(made.root))
    return made


def invoke(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_a_library_goes_into_a_store_and_out_of_it(store, library, tmp_path, monkeypatch):
    pushed = invoke("store", "push")
    assert pushed.exit_code == 0
    assert pushed.output.startswith(f"pushed to {store.address}: ")
    assert "2 plates" in pushed.output
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "there"))
    assert "to pull: 2 plates, 0 runs" in invoke("store", "status").output
    pulled = invoke("store", "pull", "--sources")
    assert (pulled.exit_code, "2 sources" in pulled.output) == (0, True)
    assert Dataset(tmp_path / "there").plate_ids() == library.plate_ids()
    assert "to push: 0 plates, 0 runs; to pull: 0 plates, 0 runs" in invoke("store", "status").output


def test_status_says_who_measures_which_plate(store, library):
    invoke("store", "push")
    lease = Leases(store, "worker-7, process 12").take(claim_key("plate-001", "u2netp"))
    assert lease is not None
    assert "plate-001/u2netp: held by worker-7, process 12; ends in " in invoke("store", "status").output
    lease.give_back()
    assert "worker-7" not in invoke("store", "status").output


@pytest.mark.parametrize("is_deep", [True, False])
def test_verify_names_what_is_altered_and_exits_1(store, library, is_deep):
    invoke("store", "push")
    arguments = ["store", "verify", *(["--deep"] if is_deep else [])]
    whole = invoke(*arguments)
    assert (whole.exit_code, whole.output) == (0, f"{store.address}: 2 files as stated, 0 not\n")
    (source,) = Path(store.address, "plates_structured/plate-001/source").iterdir()
    source.unlink()
    broken = invoke(*arguments)
    assert broken.exit_code == 1
    assert f"missing: {store.address}/plates_structured/plate-001/source/{source.name}. Fix: " in broken.output


def test_publish_without_a_catalogue_says_how_to_make_one(store, library):
    refused = invoke("store", "publish")
    assert refused.exit_code == 1
    assert "Fix: `atlas run 'key:catalogue'`" in refused.output
    library.catalogue_path.write_bytes(b"catalogue")
    assert invoke("store", "publish").output.startswith(f"published {store.address}/published/")


def test_without_a_store_it_says_how_to_name_one(library, monkeypatch):
    monkeypatch.delenv("ATLAS_STORE", raising=False)
    refused = invoke("store", "status")
    assert refused.exit_code == 1
    assert "no store is named. Fix: set ATLAS_STORE, or give --store s3://bucket/prefix" in refused.output


def test_sync_checks_this_machine_by_name_of_instrument(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "worker-7")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    lacking = invoke("models", "sync", "--check", "clip_vit_base_patch32")
    assert lacking.exit_code == 1
    assert "worker-7 cannot run clip_vit_base_patch32: 2 files missing or wrong" in " ".join(lacking.output.split())
    assert invoke("models", "sync", str(tmp_path), "clip_vit_base_patch32").exit_code == 1
    packaged = invoke("models", "sync", "--check", "efficientnet_lite0")
    assert (packaged.exit_code, "1 not to sync" in packaged.output) == (0, True)


def test_sync_without_a_source_says_what_one_is():
    refused = invoke("models", "sync")
    assert (refused.exit_code, "Give a SOURCE" in refused.output) == (1, True)
