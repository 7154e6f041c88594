"""The demonstration of a cluster: two Ray nodes on Postgres, of which one is killed, and everything is done once.

Each test runs the program that `make cluster-demo` runs, and looks at its processes from outside.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from support.processes import descendants, listening_addresses
from support.shown_devices import with_gpu, without_gpu

from atlas_resources.files.project import PROJECT_ROOT
from deploy.demo.cluster import engine_of, launch, why_not

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "all programs are installed"),
]

RUNNING = "everything runs"
DEMO_SECONDS = 1200  # a time limit, not a measure of speed


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, as Ray's sockets need one."""
    made = Path(tempfile.mkdtemp(prefix="a-", dir="/tmp"))  # TMPDIR may be long
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def begin(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Starts the demonstration with all its files in a folder."""
    command = [sys.executable, "-u", "-m", "deploy.demo", *options]
    here = {**os.environ, "TMPDIR": str(folder), "COLUMNS": "160"}
    return subprocess.Popen(
        command, cwd=PROJECT_ROOT, env=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def lines_until(process: subprocess.Popen[str], what: str) -> list[str]:
    """The lines that a demonstration prints up to one that contains something."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if what in line:
            return said
    raise AssertionError(f"ended without {what!r}: {''.join(said)}")


def left_of(folder: Path) -> list[str]:
    """Names of processes whose temporary files are in the folder."""
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR", "").startswith(str(folder)):
                left.append(process.name())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return left


def test_a_killed_node_costs_nothing_and_nothing_is_done_twice(folder: Path):
    demo = begin(folder, "--plates", "4", "--workers", "2")
    lines_until(demo, RUNNING)
    # Of Ray's two nodes, Postgres and Dagster's programs, none can be reached from another machine.
    heard = listening_addresses(descendants(demo.pid))
    assert heard
    assert {address.removeprefix("::ffff:") for address in heard} == {"127.0.0.1"}

    printed, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 0, printed
    assert re.search(r"node-2 killed \(-9\), with run \w{8}, which had sealed [1-9]", printed), printed
    assert re.search(r"fill_missing, again .* head .* SUCCESS", printed), printed
    assert "everything was done once; ledgers equal a rebuild" in printed
    assert left_of(folder) == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_a_demonstration_that_is_stopped_leaves_no_process(folder: Path, how: signal.Signals):
    demo = begin(folder, "--plates", "2")
    lines_until(demo, RUNNING)
    assert left_of(folder)
    demo.send_signal(how)
    demo.communicate(timeout=120)
    deadline = time.monotonic() + 60
    while left_of(folder) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left_of(folder) == []
    if how != signal.SIGKILL:  # which leaves nobody to remove them
        assert list(folder.iterdir()) == []


def test_a_run_whose_step_takes_a_gpu_waits_for_a_node_that_has_one(folder: Path):
    """The GPU is one in name: Ray counts it, and gives it to the run. The CPU's run is not kept waiting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(PROJECT_ROOT / "tests"))
        with engine_of(folder, cpus=1) as (instance, ray):
            waiting = launch(instance, with_gpu)
            assert devices_seen(instance, launch(instance, without_gpu)) == "not set"
            assert run_of(instance, waiting).status == dg.DagsterRunStatus.NOT_STARTED
            ray.add_node(cpus=1, gpus=1)
            assert devices_seen(instance, waiting) == "0"


def run_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def devices_seen(instance: dg.DagsterInstance, run_id: str) -> str:
    """Waits for the end of a run. Returns the GPUs that its process could see."""
    deadline = time.monotonic() + 240
    while not run_of(instance, run_id).is_finished:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    record = instance.fetch_materializations(dg.AssetKey("devices"), limit=1).records[0]
    assert record.run_id == run_id
    assert record.asset_materialization is not None
    return str(record.asset_materialization.metadata["devices"].value)
