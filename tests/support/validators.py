"""Validators of interchange formats, as `make validators` installs them, each in a process that opens no connection."""

import os
import subprocess
from pathlib import Path

import pytest

from atlas_resources.files.project import PROJECT_ROOT

VALIDATORS = PROJECT_ROOT / "build" / "validators"
PYTHON = VALIDATORS / "bin" / "python"
OFFLINE = """
import socket
def refuse(*arguments, **options):
    raise AssertionError(f"the network is used: {arguments}")
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse)
for name in ("create_connection", "getaddrinfo", "gethostbyname"):
    setattr(socket, name, refuse)
"""
needs_validators = pytest.mark.skipif(
    not (VALIDATORS / ".installed").is_file(), reason="no validators in build/validators: make validators"
)


def run_offline(program: str, *arguments: str | Path) -> str:
    """What a Python program prints that runs with the validators' packages. Fails with its errors if it fails."""
    done = subprocess.run(
        [str(PYTHON), "-c", OFFLINE + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
