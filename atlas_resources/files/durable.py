"""Writing files so that a reader, a killed process or a power cut leaves the old file or the new one, never a part."""

import ctypes
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

from atlas_resources.files.contract import FileContract, file_bytes

LEFTOVER_SECONDS = 3600
AT_FDCWD = -100
RENAME_EXCHANGE = 2
"""Of Linux, `linux/fcntl.h` and `linux/fs.h`."""


def write_json_atomically(path: Path, content: FileContract) -> None:
    """Writes a JSON file with its version and its digest of itself, whole or not at all."""
    write_bytes_atomically(path, file_bytes(content))


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Writes a file next to `path`, flushes it to disk and renames it: readers find the old file or the new one.

    Missing parent folders are created. A killed process can leave its file, `.<name>.<random>.tmp`, in the folder.
    """
    make_folder(path.parent)
    temporary = path.parent / f".{path.name[:80]}.{secrets.token_hex(4)}.tmp"
    try:
        write_synced(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Writes a new file and flushes it to disk. Raises FileExistsError if the file exists."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_folder_synced(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes new files into a folder, then flushes each of them and the folder to disk.

    Flushed one after another at the end, they share the work of the file system: a quarter less time than each flushed
    as it is written. Until the folder is flushed, a power cut may take any of them.

    Raises:
        FileExistsError: one of the files exists.
    """
    with ExitStack() as stack:
        files = [stack.enter_context((folder / name).open("xb")) for name in contents]
        for file, content in zip(files, contents.values(), strict=True):
            file.write(content)
            file.flush()
        for file in files:
            os.fsync(file.fileno())
    sync_folder(folder)


def make_folder(path: Path) -> None:
    """Makes a folder and its missing parents, each flushed to disk, so that a power cut does not take what is in it.

    Raises:
        FileExistsError: there is a file of that name.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Flushes a folder's entries to disk, so that a rename in it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_in_place_of(path: Path, data: bytes) -> None:
    """Writes a file as `write_bytes_atomically` does, also in the place of a folder of that name, which is removed."""
    if not path.is_dir():
        write_bytes_atomically(path, data)
        return
    beside = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.tmp")
    try:
        write_synced(beside, data)
        take_the_place(beside, path)
    finally:
        remove(beside)


def take_the_place(new: Path, path: Path) -> None:
    """Moves a file or folder to the place of another in one step, and removes the other.

    Where the system cannot exchange two names, a folder is absent for a moment.
    """
    if not path.is_dir() and not (new.is_dir() and path.exists()):
        os.replace(new, path)
    elif _exchange(new, path):
        remove(new)
    else:
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        os.rename(path, aside)
        os.rename(new, path)
        remove(aside)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Removes a file, or a folder with its parts; nothing if there is neither."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@cache
def _renameat2() -> Callable[..., int] | None:
    with suppress(AttributeError, OSError):  # another system than Linux, or an old C library
        function = ctypes.CDLL(None, use_errno=True).renameat2
        function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
        return function
    return None


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges two names at once. False if the system or the file system cannot."""
    function = _renameat2()
    if function is None:
        return False
    if function(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(first), None, str(second))


def sweep_leftovers(folder: Path) -> None:
    """Removes what killed processes left: hidden `.tmp` files and folders that were last changed over an hour ago."""
    for path in folder.glob(".*.tmp*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                remove(path)
