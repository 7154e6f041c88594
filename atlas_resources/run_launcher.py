"""Dagster's default launcher, extended to detect that a run's process has died. For one machine; set in `dagster.yaml`.

Dagster (1.13) learns of a killed process only from the code server that started it. If that server is killed too, as
when the machine goes down, its runs would be shown as running for ever.
"""

import json
import os
import platform
from pathlib import Path

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG

HOST_TAG = "atlas/host"  # the machine of a run that no code server started
LOOPBACK = ("localhost", "127.0.0.1")
PROC = Path("/proc")
CLOCK_SECONDS = 2.0  # the kernel reports its boot time, from which a process's start is counted, in whole seconds


class LocalRunLauncher(DefaultRunLauncher):
    """Launches runs as Dagster's default launcher does, and tells run monitoring whether their processes are alive."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Always True."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED if the process that started the run has died, RUNNING if it is alive or this cannot be known."""
        started = self._process_of(run) if is_of_this_machine(run) else None
        if started is None or is_alive(*started):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {started[0]} has died")

    def _process_of(self, run: dg.DagsterRun) -> tuple[int, float] | None:
        """The id of the process that started the run, and when it logged this; None before that."""
        records = self._instance.get_records_for_run(
            run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT, limit=20, ascending=True
        ).records
        for record in records:
            event = record.event_log_entry.dagster_event
            pid = event.engine_event_data.metadata.get("pid") if event else None
            if pid is not None:
                return int(str(pid.value)), record.event_log_entry.timestamp
        return None


def is_of_this_machine(run: dg.DagsterRun) -> bool:
    """Whether the run's process is on this machine. The process of a loopback code server is."""
    if GRPC_INFO_TAG in run.tags:
        return json.loads(run.tags[GRPC_INFO_TAG]).get("host") in LOOPBACK
    return run.tags.get(HOST_TAG) == platform.node()


def is_alive(pid: int, logged_at: float) -> bool:
    """Whether the process that had this id at a time (seconds since the epoch) is alive. True if there is no /proc.

    Ids are reused: a process that started later is a different one. A zombie counts as dead.
    """
    if not (PROC / "stat").is_file():
        return True
    try:
        state, *fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return False
    # proc_pid_stat(5): field 22 is the start in clock ticks since boot; the text after the name begins with field 3.
    ticks = int(fields[22 - 3 - 1])
    lines = (PROC / "stat").read_text().splitlines()
    boot = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    return state not in "ZX" and boot + ticks / os.sysconf("SC_CLK_TCK") <= logged_at + CLOCK_SECONDS
