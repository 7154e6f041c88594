"""A kernel that serves and mounts NFS, as one process of this machine, for tests where the machine's own kernel cannot.

User Mode Linux: its root is this machine's, read only; what it writes is in memory. It needs `nfs-kernel-server`,
`nfs-common`, `kmod` and a static `busybox`, and the Debian package `user-mode-linux`, unpacked and not installed:

    apt-get download user-mode-linux; dpkg -x user-mode-linux_*.deb build/uml
    PYTHONPATH=tests python -m support.nfs.guest build/uml tests/system/test_shared_file_system.py
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
ENDED = "the command ended with "


def run_in_guest(guest: Path, command: list[str], *, memory_mb: int = 3000) -> int:
    """Runs a command between two mounts of one folder. Returns its exit status; 1 if the guest ended before it.

    Args:
        guest: the unpacked package `user-mode-linux`.
        command: run in the project's folder, as root.
        memory_mb: of the guest.
    """
    script = guest / "command.sh"
    script.write_text(shlex.join(command) + "\n")
    started = subprocess.Popen(
        [
            str(guest / "usr/bin/linux.uml"),
            *("rootfstype=hostfs", "rootflags=/", "ro", f"mem={memory_mb}M", "quiet"),
            *("con0=fd:0,fd:1", "con=null", f"init={HERE / 'two_hosts.sh'}"),
            *(f"GUEST={guest}", f"PROJECT={PROJECT}", f"COMMAND={script}"),  # the first process's environment
        ],
        env={**os.environ, "TMPDIR": "/dev/shm"},  # noqa: S108 - its memory is a file there
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    status = 1
    try:
        for line in started.stdout or ():
            print(line, end="", flush=True)
            if line.startswith(ENDED):
                status = int(line.removeprefix(ENDED))
    finally:
        started.terminate()
        started.wait()
    return status


if __name__ == "__main__":
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *sys.argv[2:]]
    sys.exit(run_in_guest(Path(sys.argv[1]).resolve(), pytest))
