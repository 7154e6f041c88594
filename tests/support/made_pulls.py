"""A running server of scans, an index of its addresses, and `atlas plates pull` against only that server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_resources.downloads import client
from atlas_resources.downloads.limits import LeastRate
from atlas_resources.downloads.patience import Patience
from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.dataset import Dataset
from support.made_hubs import only_loopback
from support.made_scans import write_image
from support.scan_server import ScanServer, running_scan_server

__all__ = ["archive", "only_loopback"]  # fixtures

IMPATIENT = Patience(tries=3, first_wait_seconds=0.01, longest_wait_seconds=2.0)
HURRIED = Patience(tries=2, first_wait_seconds=0.01, longest_wait_seconds=0.02, least_rate=LeastRate(0.4, 1000))


@dataclass
class Archive:
    """A server with scans, and a dataset that is pulled into."""

    server: ScanServer
    folder: Path
    rows: list[dict[str, object]] = field(default_factory=list)

    @property
    def dataset(self) -> Dataset:
        return Dataset(self.folder / "atlas")

    @property
    def pulled(self) -> Path:
        return self.dataset.staging_dir / ".pull"

    def add_scan(self, name: str, colour: tuple[int, int, int] = (9, 9, 9), **row: object) -> bytes:
        """A scan on the server, and its row of the index."""
        content = write_image(self.folder / "drawn" / name, colour, (60, 40)).read_bytes()
        self.server.files[f"/{name}"] = content
        self.rows.append({"title": name, "download": self.server.url(f"/{name}"), **row})
        return content

    def index(self, name: str = "data.json") -> Path:
        path = self.folder / name
        path.write_text(json.dumps(self.rows))
        return path

    def pull(self, *arguments: object, index: object = None) -> Result:
        """Runs the command on the index, against this machine."""
        command = ["plates", "pull", str(index or self.index()), "--allow-private", "--rate", "100"]
        result = CliRunner().invoke(cli.app, [*command, *map(str, arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def manifest(self, plate_id: str) -> PlateManifest:
        return self.dataset.plate(plate_id).manifest()

    def source(self, plate_id: str) -> bytes:
        return self.dataset.plate(plate_id).source_path().read_bytes()

    def leftovers(self) -> list[str]:
        """Names of all files of downloads."""
        return sorted(path.name for path in self.pulled.rglob("*") if path.is_file() and path.name != "lock")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_loopback: None) -> Iterator[Archive]:
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.setattr(cli.console, "_width", 300)
    monkeypatch.setattr(client, "SCAN_PATIENCE", IMPATIENT)
    with running_scan_server() as server:
        yield Archive(server, tmp_path)
