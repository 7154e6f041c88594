"""Kill -9 at seeded moments: existing files are whole, the next run completes the rest, and no source changes."""

import hashlib
import random
import signal
import time
from pathlib import Path

import duckdb
import polars as pl
import pytest
from support import fake_instruments
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec
from support.forked import Forked, ready
from support.interrupted import work
from support.made_datasets import Graph, make_dataset, source_digests
from support.made_results import build_ledgers

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.claims import is_live
from atlas_resources.runs.sealed import MANIFEST_NAME
from atlas_resources.tables.ledgers import LEDGERS

pytestmark = pytest.mark.system

NAMES = ["red", "green", "blue", "ochre", "teal", "brown", "rose", "ink", "plum", "olive", "slate", "gold"]
SEGMENTS = f"segments/{SEGMENTER}"
SPEC = {"delay_seconds": 0.01}  # as in support/interrupted.py: one fingerprint


@pytest.fixture
def twelve_plates(tmp_path):
    return make_dataset(tmp_path, *NAMES)


def start(what: str, dataset: Dataset) -> Forked:
    """Starts a process that works, and waits until it does."""
    process = Forked(work, what, dataset)
    ready(process)
    return process


def kill(process: Forked) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    process.close()
    assert process.returncode == -signal.SIGKILL


def sealed(dataset: Dataset) -> list[Path]:
    return sorted(dataset.plates_dir.glob("*/runs/run-*"))


def partials(dataset: Dataset) -> list[Path]:
    return sorted(dataset.plates_dir.glob("*/runs/.run-*"))


def wait_until_sealed(dataset: Dataset, count: int, process: Forked) -> None:
    deadline = time.monotonic() + 60
    while len(sealed(dataset)) < count:
        assert process.poll() is None, "ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)


def require_whole(dataset: Dataset, folder: Path) -> str:
    """Compares the files of a sealed folder with its manifest. Returns the plate's id."""
    manifest = read_json(folder / MANIFEST_NAME, RunManifest)
    plate_dir = folder.parents[1]
    assert manifest.status == "complete"
    assert (manifest.plate_id, manifest.run_id) == (plate_dir.name, folder.name)
    assert {path.name for path in folder.iterdir()} == {Path(out.path).name for out in manifest.outputs} | {
        MANIFEST_NAME
    }
    for output in manifest.outputs:
        content = (plate_dir / output.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == output.sha256
        assert len(content) == output.size_bytes
    return manifest.plate_id


def test_each_kill_leaves_whole_folders_and_the_next_run_completes_the_rest(twelve_plates, monkeypatch, instance):
    dataset = twelve_plates
    sources = source_digests(dataset)
    moments = random.Random(1827)
    for kills in range(4):
        done_before = {require_whole(dataset, folder) for folder in sealed(dataset)}
        process = start("measure", dataset)
        # A plate needs about five flushes of 10 ms: the pause reaches any point of the next plate's sealing.
        wait_until_sealed(dataset, len(done_before) + 1, process)
        time.sleep(moments.uniform(0, 0.08))
        kill(process)
        done = {require_whole(dataset, folder) for folder in sealed(dataset)}
        assert done > done_before, f"kill {kills}"
        assert source_digests(dataset) == sources

    reports = {path.name for path in dataset.reports_dir.iterdir()}
    assert not any((dataset.reports_dir / name / "report.json").exists() for name in reports)
    assert not any(is_live(dataset.reports_dir / name) for name in reports)

    fake_instruments.install(monkeypatch)
    graph = Graph(dataset, fake_registry(fake_spec(SEGMENTER, **SPEC)), instance)
    before = set(sealed(dataset))
    assert graph.materialize(SEGMENTS).success
    assert {require_whole(dataset, folder) for folder in sealed(dataset)} == set(dataset.plate_ids())
    assert len(sealed(dataset)) == len(NAMES), "a done plate was measured again"
    assert before <= set(sealed(dataset))
    assert graph.materialized(SEGMENTS) == set(dataset.plate_ids())
    assert partials(dataset) == []
    assert source_digests(dataset) == sources


def test_a_kill_in_the_middle_of_a_plate_leaves_a_folder_that_the_next_run_removes(
    twelve_plates, monkeypatch, instance
):
    dataset = twelve_plates
    for _ in range(5):  # a busy machine may rename the folder between the look and the kill
        process = start("measure", dataset)
        while not partials(dataset):
            assert process.poll() is None, "ended before it was killed"
        kill(process)
        if partials(dataset):
            break
    (leftover,) = partials(dataset)
    assert not (leftover.parent / leftover.name[1:].removesuffix(".partial")).exists()

    fake_instruments.install(monkeypatch)
    graph = Graph(dataset, fake_registry(fake_spec(SEGMENTER, **SPEC)), instance)
    assert graph.materialize(SEGMENTS).success
    assert partials(dataset) == []
    assert len(sealed(dataset)) == len(NAMES)


def test_the_partial_folder_of_a_live_run_is_not_removed(twelve_plates, monkeypatch, instance):
    """Two processes on the same plates: neither removes what the other is writing."""
    dataset = twelve_plates
    process = start("measure", dataset)
    wait_until_sealed(dataset, 1, process)
    fake_instruments.install(monkeypatch)
    graph = Graph(dataset, fake_registry(fake_spec(SEGMENTER, **SPEC)), instance)
    assert graph.materialize(SEGMENTS).success
    assert process.wait(timeout=60) == 0
    process.close()
    assert {require_whole(dataset, folder) for folder in sealed(dataset)} == set(dataset.plate_ids())
    assert partials(dataset) == []
    for report in dataset.reports_dir.glob("*/report.json"):
        assert '"status": "complete"' in report.read_text()


def test_a_kill_while_ledgers_and_catalogue_are_written_leaves_whole_ones(twelve_plates, monkeypatch, instance):
    dataset = twelve_plates
    fake_instruments.install(monkeypatch)
    registry = fake_registry(fake_spec(SEGMENTER, **SPEC))
    Graph(dataset, registry, instance).materialize(SEGMENTS)
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    expected = {name: pl.read_parquet(ledger_path(dataset, table)).height for name, table in LEDGERS.items()}
    assert expected["segments"] == 24
    moments = random.Random(1838)
    for _ in range(3):
        process = start("rebuild", dataset)
        time.sleep(moments.uniform(0.05, 0.6))
        kill(process)
        for name, table in LEDGERS.items():
            assert pl.read_parquet(ledger_path(dataset, table)).height == expected[name], name
        with duckdb.connect(str(dataset.catalogue_path), read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM segments WHERE is_current").fetchone() == (24,)
            assert connection.execute(f"SELECT count(*) FROM why('plate-003', '{SEGMENTER}')").fetchone() == (1,)
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
