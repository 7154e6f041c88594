"""A real Triton server, as `make triton` installs it, started for one test as `atlas models serve` does."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import Popen, run

import pytest

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.serving.ending import stop
from atlas_resources.serving.starting import Wanted, start

PROGRAM = PROJECT_ROOT / "build" / "triton" / "tritonserver"
WAIT_SECONDS = 60


def _why_absent() -> str:
    """Why there is no server to ask; empty if there is one. A server that lacks a library of the system says so."""
    if not PROGRAM.with_name(".installed").is_file():
        return "no Triton server in build/triton: make triton"
    shown = run([PROGRAM, "--help"], capture_output=True, text=True, timeout=60, check=False)
    words = (shown.stderr or shown.stdout).strip()
    return "" if "model-repository" in shown.stdout + shown.stderr else f"{PROGRAM} does not start: {words[-300:]}"


WHY_ABSENT = _why_absent()
wants_triton = pytest.mark.skipif(bool(WHY_ABSENT), reason=WHY_ABSENT)


@dataclass(frozen=True)
class Triton:
    """A server that runs: its address, its process, and what was said while it started."""

    endpoint: str
    process: Popen
    lines: list[str]

    def kill(self) -> None:
        """Ends it at once, with the processes of its backends."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=20)


@contextmanager
def running(spec: Spec) -> Iterator[Triton]:
    """Runs the server over links to the spec's pinned files. The test has a folder of records of its own."""
    lines: list[str] = []
    started = start(spec, Wanted(path=str(PROGRAM), wait_seconds=WAIT_SECONDS), on_line=lines.append)
    try:
        yield Triton(started.record.endpoint, started.process, lines)
    finally:
        stop(spec.key)
        started.process.wait(timeout=20)
