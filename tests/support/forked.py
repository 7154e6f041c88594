"""Processes that are forked from one that has imported what they need, so that each starts in milliseconds.

A test that kills processes, or starts several at once, would spend most of its time on importing Dagster in each.
"""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from subprocess import TimeoutExpired
from typing import Any

import pytest

PRELOADED = ["support.interrupted", "support.opening", "support.nfs.steps", "support.sharing", "support.writer"]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOADED)


class Forked:
    """A process that performs a function, with the parts of `subprocess.Popen` that tests use.

    Its standard input and output are pipes to the test, its environment is the test's own.

    Args:
        function: of a module that can be imported by name.
        arguments: that can be pickled.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any):
        reads, to_child = CONTEXT.Pipe(duplex=False)
        from_child, writes = CONTEXT.Pipe(duplex=False)
        _start_server()
        given = (function, arguments, reads, writes, dict(os.environ))
        self._process = CONTEXT.Process(target=_perform, args=given)
        self._process.start()
        self.stdin, self.stdout = os.fdopen(os.dup(to_child.fileno()), "w"), os.fdopen(os.dup(from_child.fileno()))
        for end in (reads, to_child, from_child, writes):
            end.close()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The negative signal that ended it, 1 after an exception, 0 if it returned, None while it works."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end. Raises TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise TimeoutExpired(str(self._process), timeout or 0.0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> str:
        """Waits for its end and returns the rest of its output, which fits into a pipe. Raises TimeoutExpired."""
        self.wait(timeout)
        output = self.stdout.read()
        self.close()
        return output

    def close(self) -> None:
        """Closes the pipes."""
        self.stdin.close()
        self.stdout.close()


def _start_server() -> None:
    """Starts the process that is forked, unless it runs. It finds modules by PYTHONPATH alone (Python 3.11)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        forkserver.ensure_running()


def _perform(
    function: Callable[..., Any], arguments: tuple, reads: Connection, writes: Connection, environment: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(reads.fileno(), 0)
    os.dup2(writes.fileno(), 1)
    reads.close()
    writes.close()
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    try:
        function(*arguments)
    except BaseException:
        traceback.print_exc(file=sys.stdout)  # standard error is that of whichever test started the server
        raise
    finally:
        sys.stdout.flush()


def ready(*processes: Forked) -> None:
    """Waits until all processes have said that they are ready."""
    for process in processes:
        assert process.stdout.readline() == "ready\n"


def begin(*processes: Forked) -> None:
    """Waits until all are ready, then lets them go on."""
    ready(*processes)
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
