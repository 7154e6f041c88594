"""`atlas plates pull` is killed in the middle of a scan; the next one continues there. Nothing is half registered."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from support.hub_server import Fault
from support.scan_server import ScanServer, running_scan_server

from atlas_resources.plates.dataset import Dataset

pytestmark = pytest.mark.system

REACHED = 400_000


def noise(path: Path, seed: int) -> bytes:
    """A PNG of more than a megabyte, since it has no pattern."""
    Image.frombytes("RGB", (800, 600), (seed * 7919 % 251).to_bytes(1, "big") + os.urandom(800 * 600 * 3 - 1)).save(
        path
    )
    return path.read_bytes()


def start_pull(folder: Path) -> subprocess.Popen:
    environment = {**os.environ, "ATLAS_HOME": str(folder / "atlas")}
    command = [sys.executable, "-c", "from atlas_assets.cli.app import app; app()", "plates", "pull"]
    return subprocess.Popen(
        [*command, str(folder / "data.json"), "--allow-private", "--rate", "50"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_part(dataset: Dataset) -> None:
    """Until the scans beside the one that stalls are whole."""
    pull = dataset.staging_dir / ".pull"
    deadline = time.monotonic() + 120
    while [path.stat().st_size for path in pull.glob("*/part")] != [REACHED] or len(list(pull.glob("*/scan/*"))) < 2:
        assert time.monotonic() < deadline, "no part grew"
        time.sleep(0.02)


def serve(server: ScanServer, folder: Path) -> list[bytes]:
    contents = [noise(folder / f"{number}.png", number) for number in range(3)]
    for number, content in enumerate(contents):
        server.files[f"/{number}.png"] = content
    rows = [{"title": f"Plate {number}", "download": server.url(f"/{number}.png")} for number in range(3)]
    (folder / "data.json").write_text(json.dumps(rows))
    return contents


def test_a_killed_pull_continues_where_it_stopped(tmp_path: Path):
    dataset = Dataset(tmp_path / "atlas")
    with running_scan_server() as server:
        contents = serve(server, tmp_path)
        server.faults.append(Fault("GET", "/1.png", cut=REACHED, stalls=True))
        killed = start_pull(tmp_path)
        wait_for_part(dataset)
        killed.kill()
        killed.communicate()
        assert all(plate.manifest() for plate in dataset.plates())
        assert not list(dataset.plates_dir.glob("plate-*/source/1.png"))

        finished = start_pull(tmp_path)
        printed = finished.communicate(timeout=120)[0]
        assert finished.returncode == 0, printed
        assert server.ranges("/1.png") == [None, f"bytes={REACHED}-"]
        assert server.ranges("/0.png") == [None]  # it was whole, and was not fetched again
    assert [dataset.plate(plate_id).source_path().read_bytes() for plate_id in dataset.plate_ids()] == contents
    assert [plate.manifest().title for plate in dataset.plates()] == ["Plate 0", "Plate 1", "Plate 2"]
    assert [path.name for path in (dataset.staging_dir / ".pull").iterdir()] == ["lock"]


def test_an_interrupted_pull_ends_at_once_although_a_server_stalls(tmp_path: Path):
    dataset = Dataset(tmp_path / "atlas")
    with running_scan_server() as server:
        serve(server, tmp_path)
        server.faults.append(Fault("GET", "/1.png", cut=REACHED, stalls=True))
        interrupted = start_pull(tmp_path)
        wait_for_part(dataset)
        interrupted.send_signal(signal.SIGINT)
        started = time.monotonic()
        printed = interrupted.communicate(timeout=60)[0]
        assert time.monotonic() - started < 20, printed  # the client's own limit for a read is 30 s
        assert interrupted.returncode != 0
        assert "Traceback" not in printed
    (part,) = (dataset.staging_dir / ".pull").glob("*/part")
    assert part.stat().st_size == REACHED
