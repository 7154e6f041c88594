"""Writing files so that a reader, a kill or a power cut finds them whole or not at all.

Nothing here knows what they hold.
"""

import os
import secrets
import time
from pathlib import Path

from pydantic import BaseModel

LEFTOVER_SECONDS = 3600


def write_json_atomically(path: Path, model: BaseModel) -> None:
    """Write a contract as indented UTF-8 JSON, whole or not at all."""
    write_bytes_atomically(path, (model.model_dump_json(indent=2) + "\n").encode())


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write beside, flush to disk, rename: a reader, or a crash, finds the old file or the new one and nothing between.

    Folders above are created. A file left beside by a killed process starts with a dot and ends with `.tmp`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent / f".{path.name[:80]}.{secrets.token_hex(4)}.tmp"
    try:
        write_synced(beside, data)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and flush it to disk. Raises FileExistsError where there is one already."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it outlives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_leftovers(folder: Path) -> None:
    """Remove what killed processes left beside: hidden `.tmp` files that nobody has written to for an hour."""
    for path in folder.glob(".*.tmp*"):
        if path.is_file() and time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
            path.unlink(missing_ok=True)
