"""A file's sha256, and the memory that spares hashing gigabytes at every run. Nothing here knows what a file is for.

A remembered digest is given again only while everything that stat tells of the file is as it was when it was hashed.
"""

import hashlib
import json
import os
import time
from pathlib import Path

from pydantic import RootModel, ValidationError

from atlas_resources.files.contract import Contract, Sha256
from atlas_resources.files.durable import write_bytes_atomically

# A change in the same tick of the file system's clock leaves no trace in the times (git calls such a file racily
# clean), so what changed just before it was hashed is not remembered. Linux stamps by its timer, 10 ms at the coarsest.
TICK_NS = 20_000_000


class Remembered(Contract):
    """What stat said of a file when it was hashed, and the digest. `changed_ns` moves when `modified_ns` is forged."""

    size_bytes: int
    modified_ns: int
    changed_ns: int
    inode: int
    device: int
    sha256: Sha256

    @classmethod
    def of(cls, status: os.stat_result, sha256: str) -> "Remembered":
        """The entry of a file with this status."""
        return cls(
            size_bytes=status.st_size,
            modified_ns=status.st_mtime_ns,
            changed_ns=status.st_ctime_ns,
            inode=status.st_ino,
            device=status.st_dev,
            sha256=sha256,
        )


class Memory(RootModel[dict[str, Remembered]]):
    """The whole file: entries by the file's real path."""


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def memory_path() -> Path:
    """`atlas/digests.json` in the user's cache folder (XDG Base Directory Specification 0.8)."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "atlas" / "digests.json"


def _read_memory() -> dict[str, Remembered]:
    """What is remembered; nothing where the file is absent or is not what this module writes."""
    try:
        return Memory.model_validate_json(memory_path().read_bytes()).root
    except (OSError, ValidationError):
        return {}


def _write_memory(entries: dict[str, Remembered]) -> None:
    """Forgets files that are gone. Where nothing can be written, nothing is remembered: a file is hashed again."""
    kept = {path: entry.model_dump() for path, entry in sorted(entries.items()) if Path(path).is_file()}
    try:
        write_bytes_atomically(memory_path(), (json.dumps(kept, indent=1) + "\n").encode())
    except OSError:
        return


def remember(path: Path, sha256: str) -> None:
    """Keeps the digest of a file whose bytes the caller has just hashed."""
    real = path.resolve()
    _write_memory({**_read_memory(), str(real): Remembered.of(real.stat(), sha256)})


def digest_of(path: Path, paranoid: bool = False) -> str:
    """sha256 of a file, hex: the remembered one if stat says that the file has not changed since.

    Args:
        path: the file; a link is followed.
        paranoid: hash whatever is remembered.
    """
    real = path.resolve()
    before, started_ns = real.stat(), time.time_ns()
    known = None if paranoid else _read_memory().get(str(real))
    if known is not None and known == Remembered.of(before, known.sha256):
        return known.sha256
    found = sha256_of(real)
    is_settled = started_ns - max(before.st_ctime_ns, before.st_mtime_ns) > TICK_NS
    if is_settled and Remembered.of(before, found) == Remembered.of(real.stat(), found):
        remember(real, found)
    return found
