"""Writing files so that a reader, a killed process or a power cut leaves the old file or the new one, never a part."""

import os
import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from atlas_resources.files.contract import FileContract, file_bytes

LEFTOVER_SECONDS = 3600


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


def sweep_leftovers(folder: Path) -> None:
    """Removes the files that killed processes left: hidden `.tmp` files that were last written over an hour ago."""
    for path in folder.glob(".*.tmp*"):
        if path.is_file() and time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
            path.unlink(missing_ok=True)
