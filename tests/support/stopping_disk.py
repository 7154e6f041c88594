"""A disk that stops at a chosen operation: the process is killed there, the disk is full, or it may not be written.

Operations are counted below one folder: opening a file to write, flushing, renaming, removing, making folders. A killed
process does nothing afterwards, not even what stands in its `finally` blocks, so that every later operation stops too.
What a library writes without Python, as DuckDB does, is not counted; the rename that shows it is.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

Way = Literal["killed", "torn", "full", "read-only"]
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGING = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
GROWING = {"open", "os.mkdir", "flush"}  # what a full disk refuses


class Killed(BaseException):
    """The process is dead. No handler of the project catches it."""


class StoppingDisk:
    """Counts operations, and stops from one of them on.

    Attributes:
        count: operations so far.
        has_stopped: whether one of them did.
    """

    def __init__(self, folder: Path, stop_at: int | None, way: Way = "killed"):
        self.folder = os.path.realpath(folder)
        self.stop_at = stop_at
        self.way = way
        self.count = 0
        self.has_stopped = False

    def meet(self, kind: str, path: object, descriptor: int | None = None) -> None:
        """Counts an operation on a path below the folder, and stops if its turn has come."""
        if not isinstance(path, (str, bytes, os.PathLike)) or not self._is_below(os.fsdecode(path)):
            return
        self.count += 1
        if self.stop_at is None or self.count < self.stop_at:
            return
        if self.way == "full" and kind not in GROWING:
            return
        if not self.has_stopped and self.way == "torn" and descriptor is not None:
            self.has_stopped = True
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        self.has_stopped = True
        if self.way == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fsdecode(path))
        if self.way == "read-only":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fsdecode(path))
        raise Killed

    def _is_below(self, path: str) -> bool:
        return os.path.abspath(path).startswith(self.folder + os.sep)


_disks: list[StoppingDisk] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _disks:
        return
    if event == "open":
        path, mode, flags = arguments
        is_writing = any(letter in mode for letter in "wxa+") if isinstance(mode, str) else bool(flags & WRITING)
        if is_writing:
            _disks[-1].meet("open", path)
    elif event in CHANGING and not (event == "os.truncate" and isinstance(arguments[0], int)):
        _disks[-1].meet(event, arguments[0])


sys.addaudithook(_hook)  # cannot be removed; without a disk it does nothing
_flush = os.fsync


def _counted_flush(descriptor: int) -> None:
    if _disks:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        is_file = os.path.isfile(path)
        _disks[-1].meet("flush", path, descriptor if is_file else None)
    _flush(descriptor)


@contextmanager
def stopping(folder: Path, stop_at: int | None, way: Way = "killed") -> Iterator[StoppingDisk]:
    """A disk that stops at an operation within the block; None only counts."""
    disk = StoppingDisk(folder, stop_at, way)
    _disks.append(disk)
    os.fsync = _counted_flush
    try:
        yield disk
    finally:
        os.fsync = _flush
        _disks.pop()
