"""Processes that start at once on a new dataset: one creates Dagster's databases, and all of them open it."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.forked import Forked, begin
from support.made_datasets import make_dataset
from support.opening import open_and_add

from atlas_resources.plates.dataset import Dataset

pytestmark = [pytest.mark.system, pytest.mark.timeout(500)]

PROCESSES = 4


def open_at_once(root: Path) -> list[str]:
    """What four processes print that open the dataset at once."""
    processes = [Forked(open_and_add, Dataset(root), f"plate-{number}") for number in range(PROCESSES)]
    begin(*processes)
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    return said


def heads(root: Path) -> list[int]:
    """The number of alembic's heads in each database of the instance; with two, no process opens it any more."""
    counts = []
    for path in sorted((root / ".dagster").rglob("*.db")):
        with sqlite3.connect(path) as database:
            counts += database.execute("SELECT count(*) FROM alembic_version").fetchone()
    return counts


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's databases are those of the dataset."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def test_four_processes_open_a_new_dataset_at_once_in_every_round(tmp_path: Path):
    root = make_dataset(tmp_path, "red").root
    for _ in range(3):
        shutil.rmtree(root / ".dagster", ignore_errors=True)
        assert open_at_once(root) == ["0\n"] * PROCESSES
        assert set(heads(root)) == {1}


def test_a_process_killed_while_it_creates_the_databases_leaves_a_dataset_that_opens(tmp_path: Path):
    root = make_dataset(tmp_path, "red").root
    for delay_seconds in (0.05, 0.3):
        shutil.rmtree(root / ".dagster", ignore_errors=True)
        killed = Forked(open_and_add, Dataset(root), "plate-0")
        begin(killed)
        time.sleep(delay_seconds)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert open_at_once(root) == ["0\n"] * PROCESSES


def test_four_atlas_runs_start_at_once_on_a_new_dataset(tmp_path: Path):
    root = make_dataset(tmp_path, "red", "green").root
    command = [sys.executable, "-m", "atlas_assets.cli.app", "run", "group:groundwork"]
    here = {**os.environ, "ATLAS_HOME": str(root)}
    runs = [
        subprocess.Popen(command, env=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(PROCESSES)
    ]
    for run in runs:
        printed, _ = run.communicate(timeout=400)
        assert "alembic" not in printed
        assert run.returncode == 0, printed
