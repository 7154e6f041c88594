"""A real Triton server, as `make triton` installs it, run on loopback for one test."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.triton_repository import link_repository
from support.served import free_port

TRITON = PROJECT_ROOT / "build" / "triton"
PROGRAM = TRITON / "tritonserver"
START_SECONDS = 60
wants_triton = pytest.mark.skipif(
    not (TRITON / ".installed").is_file(), reason="no Triton server in build/triton: make triton"
)


@dataclass(frozen=True)
class Triton:
    """A server that runs: its address, and its process."""

    endpoint: str
    process: subprocess.Popen

    def kill(self) -> None:
        """Ends it at once, with the processes of its backends."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=20)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/v2/health/ready", timeout=5) as response:  # noqa: S310
                return response.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


@contextmanager
def running(spec: Spec, folder: Path) -> Iterator[Triton]:
    """Runs the server over links to the spec's pinned files, in a new folder. Yields it when it is ready."""
    repository = link_repository(spec, folder / "repository")
    port = free_port()
    command = [
        *(PROGRAM, f"--model-repository={repository}", "--model-control-mode=none", "--disable-auto-complete-config"),
        *("--http-address=127.0.0.1", f"--http-port={port}", "--allow-grpc=false", "--allow-metrics=false"),
    ]
    log_path = folder / "tritonserver.log"
    with log_path.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        server = Triton(f"http://127.0.0.1:{port}", process)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not server.is_ready():
                assert process.poll() is None, log_path.read_text()
                assert time.monotonic() < deadline, log_path.read_text()
                time.sleep(0.1)
            yield server
        finally:
            server.kill()
