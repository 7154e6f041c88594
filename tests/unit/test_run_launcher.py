"""The launcher tells a run whose process was killed from one that goes on, and claims nothing it cannot know."""

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
    """With the project's own settings."""
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_bytes((SETTINGS_FOLDER / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def process():
    """One that does nothing for a minute."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def run_of(instance: dg.DagsterInstance, pid: int | None, tags: dict[str, str]) -> dg.DagsterRun:
    """A run that a process says it has taken up."""
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


def test_a_process_that_is_dead_and_not_yet_buried_is_dead(instance, process):
    run = run_of(instance, process.pid, HERE)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie until its parent asks
    assert status_of(instance, run) == WorkerStatus.FAILED


def test_a_process_that_was_given_a_dead_ones_id_is_not_taken_for_it(process):
    assert is_alive(process.pid, time.time())
    assert not is_alive(process.pid, time.time() - 3600)


def test_a_run_that_no_process_has_taken_up_yet_is_not_called_dead(instance):
    assert status_of(instance, run_of(instance, None, HERE)) == WorkerStatus.RUNNING


@pytest.mark.parametrize(
    "tags", [{}, {HOST_TAG: "elsewhere"}, {GRPC_INFO_TAG: json.dumps({"host": "code-server", "port": 4000})}]
)
def test_a_process_of_another_machine_is_not_called_dead(instance, process, tags):
    process.kill()
    process.wait()
    assert status_of(instance, run_of(instance, process.pid, tags)) == WorkerStatus.RUNNING
