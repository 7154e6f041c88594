"""Reading regular files within a limit of bytes. A pipe or a device is refused at once, where reading could wait."""

import errno
import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}


class UnfitFile(OSError):
    """A file that is not regular, or larger than its limit. `strerror` is one line with both attributes.

    Attributes:
        found: What it is, or its size.
        expected: A regular file, or the limit.
    """

    def __init__(self, path: Path, found: str, expected: str):
        super().__init__(errno.EINVAL, f"found {found}, expected {expected}", str(path))
        self.found = found
        self.expected = expected


def require_regular(path: Path, status: os.stat_result) -> None:
    """Raises UnfitFile for what is neither a regular file nor a folder, and IsADirectoryError for a folder."""
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFREG:
        raise UnfitFile(path, KINDS.get(kind, "a special file"), "a regular file")


def read_regular(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file; a link is followed.

    No more than `max_bytes` + 1 bytes are read, even if the file states another size.

    Args:
        path: The file.
        max_bytes: Largest accepted size.

    Raises:
        UnfitFile: It is a pipe, a device or a socket, or is larger than `max_bytes`.
        OSError: It cannot be read, or is a folder.
    """
    require_regular(path, path.stat())  # before opening it, which can have effects on a device
    # Without O_NONBLOCK, opening a pipe that took the file's place meanwhile would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        require_regular(path, status)
        if status.st_size > max_bytes:
            raise UnfitFile(path, f"{status.st_size:,} bytes", f"at most {max_bytes:,} bytes")
        data = bytearray()
        while len(data) <= max_bytes and (chunk := file.read(max_bytes + 1 - len(data))):
            data += chunk
    if len(data) > max_bytes:
        raise UnfitFile(path, f"more than {max_bytes:,} bytes", f"at most {max_bytes:,} bytes")
    return bytes(data)
