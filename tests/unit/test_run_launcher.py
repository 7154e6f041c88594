"""The launcher detects a run whose process was killed, and reports no failure that it cannot verify."""

import json
import os
import subprocess
import sys
import time

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from atlas_resources.files.project import SETTINGS_FOLDER
from atlas_resources.run_launcher import HOST_TAG, LocalRunLauncher, is_alive

HERE = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": "/tmp/gone"})}  # noqa: S108 - a name, never opened


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    """A Dagster instance with the project's own settings."""
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_bytes((SETTINGS_FOLDER / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def process():
    """A process that sleeps for a minute."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def run_of(instance: dg.DagsterInstance, pid: int | None, tags: dict[str, str]) -> dg.DagsterRun:
    """A run that a process has started, according to its log; with None, one that no process has started."""
    run = instance.create_run_for_job(dg.GraphDefinition(name="nothing").to_job(), tags=tags)
    instance.report_engine_event("about to start", run)
    if pid is not None:
        instance.report_engine_event("Started process for run", run, EngineEventData.in_process(pid))
    return run


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    launcher = instance.run_launcher
    assert isinstance(launcher, LocalRunLauncher)
    assert launcher.supports_check_run_worker_health
    return launcher.check_run_worker_health(run).status


def test_a_run_whose_process_was_killed_has_failed(instance, process):
    run = run_of(instance, process.pid, HERE)
    assert status_of(instance, run) == WorkerStatus.RUNNING
    process.kill()
    process.wait()
    assert status_of(instance, run) == WorkerStatus.FAILED


def test_a_zombie_counts_as_dead(instance, process):
    run = run_of(instance, process.pid, HERE)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie until its parent waits for it
    assert status_of(instance, run) == WorkerStatus.FAILED


def test_a_later_process_with_a_reused_id_is_a_different_one(process):
    assert is_alive(process.pid, time.time())
    assert not is_alive(process.pid, time.time() - 3600)


def test_a_run_that_no_process_has_started_yet_is_not_failed(instance):
    assert status_of(instance, run_of(instance, None, HERE)) == WorkerStatus.RUNNING


@pytest.mark.parametrize(
    "tags", [{}, {HOST_TAG: "elsewhere"}, {GRPC_INFO_TAG: json.dumps({"host": "code-server", "port": 4000})}]
)
def test_a_run_on_another_machine_is_not_failed(instance, process, tags):
    process.kill()
    process.wait()
    assert status_of(instance, run_of(instance, process.pid, tags)) == WorkerStatus.RUNNING
