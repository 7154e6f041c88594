"""Looking at folders that other machines change, past what this machine's kernel remembers of them.

An NFS client answers `stat`, and which names a folder has, from memory for up to a minute (nfs(5): acdirmin, acdirmax).
A lock on a file makes the file's own bytes fresh, and no folder. On a local disk nothing here costs more than a `stat`.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path

NETWORK_TYPES = frozenset({"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "nfs", "nfs4", "smb3"})
"""Types of file systems that other machines may change, besides those that a program serves (`fuse.*`)."""
CLOCK_TOLERANCE_NS = 60_000_000_000
"""Clocks of machines that share a dataset may differ by as much."""
TICK_NS = 20_000_000
"""A change within one tick of the file system's clock leaves no trace in its times (git calls such a file racily
clean). Linux's ticks are at most 10 ms."""

MOUNTS = Path("/proc/self/mountinfo")
AT_FDCWD = -100
AT_STATX_FORCE_SYNC = 0x2000  # statx(2): ask the server, whatever is remembered
STATX_BASIC_STATS = 0x7FF
STATX_BYTES = 256  # sizeof(struct statx), linux/stat.h; it is not read


@lru_cache(maxsize=64)
def _is_network(device: int) -> bool:
    """Whether the file system of a device (`st_dev`) is a network's. False where there is no /proc."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:  # proc_pid_mountinfo(5): the third field is the device; after " - " comes the type
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == wanted:
            kind = after.split(" ")[0]
            return kind in NETWORK_TYPES or kind.startswith("fuse.")
    return False


def is_network(path: Path | str) -> bool:
    """Whether other machines may change the files of a folder. Raises OSError if there is no such folder."""
    return _is_network(os.stat(path).st_dev)


def settled_ns(device: int) -> int:
    """How long ago a file must have changed for its times to show the next change, in nanoseconds.

    The times of a network's files are of its server's clock, which may differ from this machine's.

    Args:
        device: `st_dev` of the file.
    """
    return CLOCK_TOLERANCE_NS + TICK_NS if _is_network(device) else TICK_NS


@cache
def _statx() -> Callable[..., int] | None:
    """The C library's statx(2); None in one that has none. Python has no other way to it before 3.15."""
    return getattr(ctypes.CDLL(None), "statx", None)


def refresh(*paths: Path | str) -> None:
    """Makes this machine ask the server what it knows of folders; nothing for those of a local disk, or that are gone.

    What was remembered of the names in a changed folder is then looked up again, those that it did not have included.

    Args:
        paths: folders; one that is in another comes after it, since it may be among the names that are remembered.
    """
    for path in paths:
        try:
            if not is_network(path):
                return
        except OSError:
            continue
        if statx := _statx():
            found = ctypes.create_string_buffer(STATX_BYTES)
            statx(AT_FDCWD, os.fsencode(path), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, found)
