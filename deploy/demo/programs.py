"""Programs that a demonstration starts, each with a log, and the end of all of them, however the demonstration ends."""

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36  # prctl(2): orphans among the descendants become children of this process
START_SECONDS = 180.0  # a time limit, not a measure of speed
END_SECONDS = 20.0
LAST_LINES = 20
FIRST_PORT = 20000  # above those of Ray's workers
POLL_SECONDS = 0.2


class ProgramMissing(FileNotFoundError):
    """A program is not installed. The message has the command that installs it."""


class ProgramEnded(RuntimeError):
    """A program ended, or did not answer in time. The message has the end of its log."""


class Programs:
    """Starts programs as sessions of their own, so that Ctrl-C reaches the demonstration alone.

    Args:
        logs: the folder of the logs, one for each program, by its name.
    """

    def __init__(self, logs: Path):
        self.logs = logs

    @contextmanager
    def run(
        self,
        name: str,
        *command: str | Path,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        stop: signal.Signals = signal.SIGTERM,
        patience_seconds: float = 0.0,
    ) -> Iterator[psutil.Popen]:
        """Runs a program while the block lasts; then it and its descendants have ended.

        If this process is killed, the kernel asks it to stop.

        Args:
            name: of its log.
            command: the program and its arguments.
            env: variables beside those of this process.
            user: the account that it runs as; only root may name one.
            stop: the signal by which it is asked to stop.
            patience_seconds: how long it has to stop before it is killed. By default it is not asked: its files go too.
        """
        account = ("--reuid", user, "--regid", user, "--clear-groups") if user else ()
        starter = (require("setpriv", "util-linux"), "--pdeathsig", stop.name.removeprefix("SIG"), *account, "--")
        with (self.logs / f"{name}.log").open("a") as log:
            process = psutil.Popen(
                [*starter, *map(str, command)],
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            end(process, stop, patience_seconds)

    def wait_until(self, is_up: Callable[[], bool], name: str, process: psutil.Popen) -> None:
        """Waits until a program answers.

        Raises:
            ProgramEnded: it ended, or does not answer in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while not is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                logs = "\n".join(
                    f"{path.name}:\n{self.end_of_log(path.stem)}"
                    for path in sorted(self.logs.iterdir())
                    if path.stat().st_size
                )
                raise ProgramEnded(f"{name} does not answer. The ends of the logs:\n{logs}")
            time.sleep(POLL_SECONDS)

    def log_of(self, name: str) -> str:
        """What a program wrote."""
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def end_of_log(self, name: str) -> str:
        """The last lines that a program wrote."""
        return "\n".join(self.log_of(name).splitlines()[-LAST_LINES:])


def adopt_orphans() -> None:
    """Makes this process the parent of descendants whose parent ends, so that none escapes `end_all`.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def end(process: psutil.Popen, stop: signal.Signals, patience_seconds: float) -> None:
    """Asks a program to stop, and kills it and what it started if it has not in time."""
    family = family_of(process)
    if patience_seconds:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(stop)
        _, family = psutil.wait_procs(family, timeout=patience_seconds)
    kill(family)


def end_all() -> None:
    """Kills every descendant of this process."""
    while family := psutil.Process().children(recursive=True):
        kill(family)


def family_of(process: psutil.Process) -> list[psutil.Process]:
    """A process and all its descendants; none if it has ended."""
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def kill(processes: list[psutil.Process]) -> None:
    """Kills processes and waits until they have ended."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=END_SECONDS)


def require(program: str, package: str, *folders: Path) -> str:
    """The path of a program, in the folders or on the PATH.

    Raises:
        ProgramMissing: it is not installed; names Debian's package.
    """
    for folder in folders:
        if (folder / program).is_file():
            return str(folder / program)
    found = shutil.which(program)
    if found is None:
        raise ProgramMissing(f"{program} is not installed. Fix: apt-get install {package}")
    return found


def beside_python(program: str) -> str:
    """The path of a program that a package installs beside this Python, or on the PATH.

    Raises:
        ProgramMissing: it is not installed.
    """
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.is_file() else shutil.which(program)
    if found is None:
        raise ProgramMissing(f"{program} is not installed. Fix: pip install atlas-plates")
    return found


def free_port() -> int:
    """A loopback port on which nothing listens now, and which the kernel gives to nobody who asks for any port."""
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(FIRST_PORT, first_given)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def answers(port: int) -> bool:
    """Whether something listens on a port of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
