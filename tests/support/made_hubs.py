"""A small model on a local hub, a spec that pins it, and `atlas models` run against only that hub."""

import hashlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_assets.cli.models import hub as cli_hub
from atlas_resources.downloads.patience import Patience
from atlas_resources.hub import client as hub_module
from atlas_resources.hub.client import Hub
from support.hub_server import Commit, FakeHub, Repository, running_hub
from support.made_specs import content_of, write_spec

MODEL, KEY, TOKEN = "studio/tiny-clip", "tiny_clip", "hf_a_secret_token"
REVISION, LATER = "a" * 40, "b" * 40
WEIGHTS = bytes(range(256)) * 64
CONFIG = b'{"model_type": "clip", "projection_dim": 24, "vision_config": {"hidden_size": 32, "image_size": 56}}'
FILES = {"README.md": b"# Tiny", "config.json": CONFIG, "model.safetensors": WEIGHTS, "pytorch_model.bin": b"pickle"}
IMPATIENT = Patience(tries=3, first_wait_seconds=0.01, longest_wait_seconds=0.02)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tiny_model(files: dict[str, bytes] | None = None) -> Repository:
    metadata = {"pipeline_tag": "zero-shot-image-classification", "library_name": "transformers", "tags": ["clip"]}
    return Repository({REVISION: Commit({**(files or FILES)})}, {"main": REVISION, "v1": REVISION}, metadata)


def spec_content(**changes: Any) -> dict[str, Any]:
    """A spec that pins the model's weights and, without a digest, its configuration."""
    files = [
        {"path": "model.safetensors", "format": "safetensors", "sha256": sha256(WEIGHTS), "size_bytes": len(WEIGHTS)},
        {"path": "config.json", "format": "json"},
    ]
    weights = {"kind": "hub", "repository": MODEL, "revision": REVISION, "files": files, **changes}
    return {**content_of("clip_vit_base_patch32"), "key": KEY, "model_id": MODEL, "weights": weights}


@dataclass
class Bench:
    """A running hub with the model on it, a folder of specs that pins it, and an empty cache."""

    fake: FakeHub
    specs: Path
    cache: Path

    @property
    def repository(self) -> Repository:
        return self.fake.repositories[MODEL]

    @property
    def storage(self) -> Path:
        return self.cache / "models--studio--tiny-clip"

    @property
    def snapshot(self) -> Path:
        return self.storage / "snapshots" / REVISION

    @property
    def part(self) -> Path:
        """The path of the partly downloaded weights."""
        return self.storage / "blobs" / f"{sha256(WEIGHTS)}.incomplete"

    @property
    def hub(self) -> Hub:
        return Hub(self.fake.endpoint, patience=IMPATIENT)

    def pin(self, **changes: Any) -> None:
        write_spec(self.specs, spec_content(**changes))

    def atlas(self, command: str, *arguments: str) -> Result:
        return CliRunner().invoke(cli.app, ["models", command, "--specs", str(self.specs), *arguments])


@pytest.fixture
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Other connections and name look-ups fail, and fail the test even if the error is caught."""
    strays: list[object] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def require_loopback(host: object) -> None:
        if host not in {"127.0.0.1", b"127.0.0.1"}:
            strays.append(host)
            raise AssertionError(f"a connection to {host}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        require_loopback(address[0])
        connect(self, address)

    def guarded_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        require_loopback(host)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield
    assert strays == []


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_loopback: None) -> Iterator[Bench]:
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setattr(hub_module, "PATIENCE", IMPATIENT)
    monkeypatch.setattr(cli_hub, "console", Console(width=600))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    with running_hub() as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.endpoint)
        fake.repositories[MODEL] = tiny_model()
        made = Bench(fake, tmp_path / "model_specs", cache)
        made.pin()
        yield made
