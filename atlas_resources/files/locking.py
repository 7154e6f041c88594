"""Excluding other processes by a lock on a file, which the kernel releases however its holder ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path, *, is_shared: bool = False) -> Iterator[IO[bytes]]:
    """Waits for the lock on a file and holds it in the block. The file is created and stays. Raises OSError.

    Yields the file, open for reading and appending.

    Args:
        path: the file.
        is_shared: whether others may hold a shared lock on it at the same time.
    """
    with path.open("a+b") as file:  # NFS locks a range of bytes: shared needs reading, exclusive writing (flock(2))
        fcntl.flock(file, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX)
        yield file
