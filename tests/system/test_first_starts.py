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
from support.made_datasets import make_dataset

pytestmark = [pytest.mark.system, pytest.mark.timeout(500)]

PROCESSES = 4
OPEN = """
import sys
from pathlib import Path
from atlas_assets.in_process.instance import open_instance
from atlas_resources.plates.dataset import Dataset
print("ready", flush=True)
sys.stdin.readline()
with open_instance(Dataset(Path(sys.argv[1]))) as instance:
    instance.add_dynamic_partitions("plates", [sys.argv[2]])
    print(instance.get_runs_count(), flush=True)
"""


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}


def start(root: Path, name: str) -> subprocess.Popen:
    """Starts a process that imports everything and then waits for a line to open the dataset."""
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, str(root), name],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begin(*processes: subprocess.Popen) -> None:
    """Waits until all have imported everything, then lets them open the dataset."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def open_at_once(root: Path) -> list[str]:
    """What four processes print that open the dataset at once; what one of them failed with instead."""
    processes = [start(root, f"plate-{number}") for number in range(PROCESSES)]
    begin(*processes)
    said = []
    for process in processes:
        printed, errors = process.communicate(timeout=120)
        said.append(printed if process.returncode == 0 else errors.splitlines()[-1])
    return said


def heads(root: Path) -> list[int]:
    """The number of alembic's heads in each database of the instance; with two, no process opens it any more."""
    counts = []
    for path in sorted((root / ".dagster").rglob("*.db")):
        with sqlite3.connect(path) as database:
            counts += database.execute("SELECT count(*) FROM alembic_version").fetchone()
    return counts


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
        killed = start(root, "plate-0")
        begin(killed)
        time.sleep(delay_seconds)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert open_at_once(root) == ["0\n"] * PROCESSES


def test_four_atlas_runs_start_at_once_on_a_new_dataset(tmp_path: Path):
    root = make_dataset(tmp_path, "red", "green").root
    command = [sys.executable, "-m", "atlas_assets.cli.app", "run", "group:groundwork"]
    here = {**environment(), "ATLAS_HOME": str(root)}
    runs = [
        subprocess.Popen(command, env=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(PROCESSES)
    ]
    for run in runs:
        printed, _ = run.communicate(timeout=400)
        assert "alembic" not in printed
        assert run.returncode == 0, printed
