"""Processes that start at once on a new dataset: one creates Dagster's databases, and all of them open it.

The databases are SQLite's, and those of a Postgres that the test runs.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from support.forked import Forked, begin
from support.made_datasets import make_dataset
from support.opening import open_and_add

from atlas_resources.plates.dataset import Dataset
from deploy.demo.cluster import own_folder
from deploy.demo.postgres import URL_VARIABLE, Postgres, postgres, why_no_postgres
from deploy.demo.programs import Programs

pytestmark = [pytest.mark.system, pytest.mark.timeout(500)]

PROCESSES = 4
ON_POSTGRES = f"telemetry: {{enabled: false}}\nstorage: {{postgres: {{postgres_url: {{env: {URL_VARIABLE}}}}}}}\n"


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


def processes_on_loopback(root: Path, url: str, *, apart: bool) -> list[tuple[int, str]]:
    """The exit codes and output of processes that open the instance of one Postgres database at once.

    Args:
        root: the dataset; a folder for each process is made beside it.
        url: of the database.
        apart: whether each has a DAGSTER_HOME of its own, as on several machines, so that no lock orders them.
    """
    processes = []
    for number in range(PROCESSES):
        home = root.parent / (f"home-{number}" if apart else "home")
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_text(ON_POSTGRES)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_HOME", str(home))
            patch.setenv(URL_VARIABLE, url)
            processes.append(Forked(open_and_add, Dataset(root), f"plate-{number}"))
    begin(*processes)
    said = [process.communicate(timeout=120) for process in processes]
    return [(process.returncode or 0, text) for process, text in zip(processes, said, strict=True)]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if reason := why_no_postgres():
        pytest.skip(reason)
    pytest.importorskip("dagster_postgres", reason="dagster-postgres is not installed. Fix: make cluster")
    with own_folder() as folder:
        programs = Programs(folder / "logs")
        programs.logs.mkdir()
        with postgres(programs, folder / "postgres") as running:
            yield running


def new_database(server: Postgres, name: str) -> str:
    """Makes a database. Returns its address."""
    engine = sqlalchemy.create_engine(server.url(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.url(name)


def heads_of(url: str) -> int:
    """The number of alembic's heads in a Postgres database."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        count = connection.execute(sqlalchemy.text("SELECT count(*) FROM alembic_version")).scalar_one()
    engine.dispose()
    return count


@pytest.mark.parametrize("apart", [False, True], ids=["one machine", "a machine each"])
def test_four_processes_open_a_new_postgres_instance_at_once_in_every_round(
    tmp_path: Path, server: Postgres, apart: bool
):
    for number in range(3):
        url = new_database(server, f"round_{number}_{'apart' if apart else 'together'}")
        (tmp_path / str(number)).mkdir()
        root = make_dataset(tmp_path / str(number), "red").root
        assert processes_on_loopback(root, url, apart=apart) == [(0, "0\n")] * PROCESSES
        assert heads_of(url) == 1


def test_a_process_killed_while_it_creates_a_postgres_instance_leaves_one_that_opens(tmp_path: Path, server: Postgres):
    root = make_dataset(tmp_path, "red").root
    for number, delay_seconds in enumerate((0.02, 0.1, 0.3)):
        url, home = new_database(server, f"killed_{number}"), tmp_path / f"killed-{number}"
        home.mkdir()
        (home / "dagster.yaml").write_text(ON_POSTGRES)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_HOME", str(home))
            patch.setenv(URL_VARIABLE, url)
            killed = Forked(open_and_add, Dataset(root), "plate-0")
        begin(killed)
        time.sleep(delay_seconds)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert processes_on_loopback(root, url, apart=True) == [(0, "0\n")] * PROCESSES
        assert heads_of(url) == 1
