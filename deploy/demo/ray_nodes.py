"""A Ray cluster of several nodes on the loopback address of one machine: real processes, GPUs in name only."""

import importlib.util
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.demo.programs import ProgramEnded, Programs, answers, family_of, free_port, kill

ADDRESS_VARIABLE = "ATLAS_RAY_ADDRESS"
OBJECT_STORE_BYTES = 100_000_000  # runs hand nothing to each other through Ray; it starts with 78.6 MB or more
STARTED = "Ray runtime started"
ATTEMPTS = 3  # `ray start` gives up after 30 s, which a busy machine may need
RUN_ID = re.compile(r'api execute_run .*run_id": "([0-9a-f-]{36})"')  # in the command line of a run's process
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "NO_COLOR": "1",
}


@dataclass(frozen=True)
class Node:
    """A running node.

    Attributes:
        name: `head`, `node-2`, ...
        process: `ray start --block`, whose descendants are the node's programs and the runs on it.
    """

    name: str
    process: psutil.Popen

    def runs(self) -> list[str]:
        """Ids of the Dagster runs whose processes are on this node."""
        found = [RUN_ID.search(" ".join(_command_of(one))) for one in family_of(self.process)]
        return sorted({match[1] for match in found if match})

    def kill(self) -> None:
        """Ends the node as a power cut does: SIGKILL to every process of it, the runs' too."""
        kill(family_of(self.process))


@dataclass
class RayCluster:
    """A head, and the nodes that joined it.

    Attributes:
        address: of the job server.
        nodes: the head first.
    """

    programs: Programs
    folder: Path
    port: int
    dashboard_port: int
    stack: ExitStack
    nodes: list[Node]

    @property
    def address(self) -> str:
        """The address of the job server, which Dagster's launcher is told."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    def add_node(self, cpus: int, gpus: int) -> Node:
        """Starts one more node and waits until it has joined."""
        if not self.nodes:
            return self._start("head", cpus, gpus, *self._head())
        joins = (f"--address=127.0.0.1:{self.port}",)
        return self._start(f"node-{len(self.nodes) + 1}", cpus, gpus, *joins)

    def _head(self) -> tuple[str, ...]:
        return (
            "--head",
            f"--port={self.port}",
            f"--ray-client-server-port={free_port()}",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={self.dashboard_port}",
            f"--temp-dir={self.folder}",
        )

    def _start(self, name: str, cpus: int, gpus: int, *options: str, attempt: int = 1) -> Node:
        agent = free_port()  # each node's agent, by which jobs are started on it
        command = (sys.executable, "-m", "deploy.demo.loopback_ray", "start", "--block", *options)
        shared = (
            "--node-ip-address=127.0.0.1",
            "--disable-usage-stats",
            f"--dashboard-agent-listen-port={agent}",
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
        )
        log = f"{name}.{attempt}"
        try:
            with ExitStack() as started:
                process = started.enter_context(self.programs.run(log, *command, *shared))
                # A node's programs answer before `ray start` has said so, and may yet be given up.
                self.programs.wait_until(lambda: STARTED in self.programs.log_of(log) and answers(agent), log, process)
                self.stack.push(started.pop_all())
        except ProgramEnded:
            if attempt == ATTEMPTS:
                raise
            return self._start(name, cpus, gpus, *options, attempt=attempt + 1)
        self.nodes.append(Node(name, process))
        return self.nodes[-1]


def why_no_ray() -> str:
    """Why Ray cannot be started here, with the command that fixes it; empty if it can."""
    lacking = [name for name in ("ray", "dagster_ray") if importlib.util.find_spec(name) is None]
    return f"{', '.join(lacking)} not installed. Fix: make cluster" if lacking else ""


def new_environment() -> dict[str, str]:
    """Variables that every process of a cluster needs, with a new token: who has it may run anything on the cluster."""
    return {**ENVIRONMENT, "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def ray_cluster(programs: Programs, folder: Path, *, cpus: int = 1, gpus: int = 0) -> Iterator[RayCluster]:
    """Runs a cluster of one node, its head. Its programs have this process's environment, which has the token.

    Args:
        programs: starts the nodes.
        folder: for Ray's logs and sockets, whose paths the kernel limits: at most about 40 characters.
        cpus: of the head, as Ray counts them.
        gpus: the same.
    """
    if "RAY_AUTH_TOKEN" not in os.environ:
        raise RuntimeError("RAY_AUTH_TOKEN is not set: without it, every user of this machine could run jobs")
    try:
        with ExitStack() as stack:
            cluster = RayCluster(programs, folder, free_port(), free_port(), stack, [])
            cluster.add_node(cpus, gpus)
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # ignored: a log that a killed program has just written


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
