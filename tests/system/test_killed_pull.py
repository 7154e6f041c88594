"""`atlas models pull` is killed in the middle of a file; the next one continues from there."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from support.hub_server import Commit, FakeHub, Fault, Repository, running_hub

pytestmark = pytest.mark.system

REVISION, TOKEN = "c" * 40, "hf_a_secret_token"
WEIGHTS = os.urandom(3_000_000)
REACHED = 1_000_000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


def write_spec(folder: Path) -> None:
    files = [{"path": "model.safetensors", "format": "safetensors", "sha256": SHA256, "size_bytes": len(WEIGHTS)}]
    content = {
        "key": "big",
        "role": "embedding",
        "title": "Big",
        "description": "A model that takes its time to arrive.",
        "model_id": "studio/big",
        "loader": None,
        "weights": {"kind": "hub", "repository": "studio/big", "revision": REVISION, "files": files},
    }
    folder.mkdir()
    (folder / "big.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def start_pull(fake: FakeHub, folder: Path) -> subprocess.Popen:
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment = {
        **clean,
        "HF_ENDPOINT": fake.endpoint,
        "HF_HUB_CACHE": str(folder / "hub"),
        "HF_TOKEN": TOKEN,
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    command = [sys.executable, "-c", "from atlas_assets.cli.app import app; app()", "models", "pull", "big"]
    return subprocess.Popen(
        [*command, "--specs", str(folder / "model_specs")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(path: Path, size_bytes: int) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < size_bytes:
        assert time.monotonic() < deadline, f"{path} did not grow"
        time.sleep(0.02)


def test_a_killed_pull_continues_where_it_stopped(tmp_path: Path):
    write_spec(tmp_path / "model_specs")
    storage = tmp_path / "hub" / "models--studio--big"
    part = storage / "blobs" / f"{SHA256}.incomplete"
    with running_hub() as fake:
        fake.repositories["studio/big"] = Repository({REVISION: Commit({"model.safetensors": WEIGHTS})}, {})
        fake.faults.append(Fault("GET", "/model.safetensors", cut=REACHED, stalls=True, times=2))
        killed = start_pull(fake, tmp_path)
        wait_until(part, REACHED)
        killed.kill()
        killed.communicate()
        assert not (storage / "snapshots").exists()  # nothing that a loader could find

        finished = start_pull(fake, tmp_path)
        printed = finished.communicate(timeout=60)[0]
        assert finished.returncode == 0, printed
        assert TOKEN not in printed
        served = [asked for asked in fake.asked("GET", "/model.safetensors") if asked.origin == fake.storage]
        assert [asked.headers.get("range") for asked in served] == [None, f"bytes={REACHED}-"]
        assert {asked.authorization for asked in served} == {None}
    assert (storage / "snapshots" / REVISION / "model.safetensors").read_bytes() == WEIGHTS
    assert SHA256 in (tmp_path / "cache" / "atlas" / "digests.json").read_text(encoding="utf-8")
