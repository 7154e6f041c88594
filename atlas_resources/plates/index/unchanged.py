"""What was read of files, kept in this process for as long as `stat` reports that a file has not changed.

The sensors read the state of every plate each time; a sealed manifest never changes and costs a stat from then on.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from atlas_resources.files.hosts.freshness import settled_ns

MOST_FILES = 1_000_000
"""About a gigabyte of sealed runs. With more, everything is read again."""

Read = TypeVar("Read")
Whole = TypeVar("Whole")
Status = tuple[int, int, int, int]


class Unchanged(Generic[Read]):
    """The values read of files, by path."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Status, Read]] = {}

    def read(self, path: Path, read: Callable[[], Read]) -> Read:
        """What `read` returns of the file, or returned since it last changed. What `read` raises is not kept.

        A file that changed within a tick of the clock before it was read is read again the next time: a second change
        within the tick would leave no trace.
        """
        known = self._known.get(str(path))
        with suppress(OSError):  # `read` says what is wrong with the file
            if known and known[0] == _status(path.stat()):
                return known[1]
        return self.read_whole(path, read, lambda value: value)

    def read_whole(self, path: Path, read: Callable[[], Whole], brief: Callable[[Whole], Read]) -> Whole:
        """What `read` returns of the file, of which `brief` is kept. What `read` raises is not kept."""
        now_ns = time.time_ns()
        try:
            stat = path.stat()
        except OSError:
            return read()
        value = read()
        if now_ns - stat.st_ctime_ns > settled_ns(stat.st_dev):
            if len(self._known) >= MOST_FILES:
                self._known.clear()
            self._known[str(path)] = _status(stat), brief(value)
        return value


def _status(stat: os.stat_result) -> Status:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
