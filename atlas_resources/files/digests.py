"""The sha256 of a file, and a memory of digests, so that a run need not hash gigabytes again.

A remembered digest is used only while everything that `stat` reports of the file is as it was when it was hashed.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from pydantic import RootModel, ValidationError

from atlas_resources.files.contract import Contract, Sha256
from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.files.hosts.freshness import settled_ns
from atlas_resources.files.locking import locked


class Remembered(Contract):
    """What `stat` reported of a file when it was hashed, and the digest. Setting `modified_ns` moves `changed_ns`."""

    size_bytes: int
    modified_ns: int
    changed_ns: int
    inode: int
    device: int
    sha256: Sha256

    @classmethod
    def of(cls, status: os.stat_result, sha256: str) -> "Remembered":
        """The entry of a file with this status and digest."""
        return cls(
            size_bytes=status.st_size,
            modified_ns=status.st_mtime_ns,
            changed_ns=status.st_ctime_ns,
            inode=status.st_ino,
            device=status.st_dev,
            sha256=sha256,
        )


class Memory(RootModel[dict[str, Remembered]]):
    """The content of `digests.json`: entries by the real path of each file."""


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def memory_path() -> Path:
    """`atlas/digests.json` in the user's cache folder (XDG Base Directory Specification 0.8)."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "atlas" / "digests.json"


def read_memory(path: Path) -> dict[str, Remembered]:
    """The digests remembered in a file; none if it is missing or is not what `write_memory` writes."""
    try:
        return Memory.model_validate_json(path.read_bytes()).root
    except (OSError, ValidationError):
        return {}


def write_memory(path: Path, entries: Mapping[str, Remembered]) -> None:
    """Writes remembered digests, whole or not at all. Raises OSError."""
    content = {name: entry.model_dump() for name, entry in sorted(entries.items())}
    write_bytes_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def _read_memory() -> dict[str, Remembered]:
    return read_memory(memory_path())


def _write_memory(entries: Mapping[str, Remembered]) -> None:
    """Writes the memory, less the files that are gone. Raises OSError."""
    write_memory(memory_path(), {path: entry for path, entry in entries.items() if Path(path).is_file()})


def _lock() -> AbstractContextManager[object]:
    """Keeps other processes from changing the memory, which would otherwise lose a change. Raises OSError."""
    path = memory_path().with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    return locked(path)


def remember(path: Path, sha256: str) -> None:
    """Remembers the digest of a file that the caller has just hashed.

    If the memory cannot be written nothing is remembered, and the file is hashed again next time.
    """
    real = path.resolve()
    entry = Remembered.of(real.stat(), sha256)
    try:
        with _lock():
            _write_memory({**_read_memory(), str(real): entry})
    except OSError:
        return


def forget(paths: Iterable[Path]) -> None:
    """Forgets the digests of files, so that the next `digest_of` hashes each again. Links are followed.

    Files that are not remembered are skipped.

    Raises:
        OSError: the memory cannot be written, so a remembered digest would be used again.
    """
    forgotten = {str(path.resolve()) for path in paths}
    if forgotten.isdisjoint(_read_memory()):
        return
    with _lock():
        _write_memory({path: entry for path, entry in _read_memory().items() if path not in forgotten})


def digest_of(path: Path) -> str:
    """sha256 of a file, hex: the remembered one if `stat` reports that the file has not changed since.

    A link is followed. `forget` makes sure that the file is hashed.
    """
    real = path.resolve()
    known = _read_memory().get(str(real))
    sha256, entry = hash_once(real, known)
    if entry is not None and entry is not known:
        remember(real, sha256)
    return sha256


def hash_once(path: Path, known: Remembered | None) -> tuple[str, Remembered | None]:
    """The digest of a file, the remembered one if it still holds, and what to remember of it.

    Args:
        path: the file.
        known: what is remembered of it.

    Returns:
        The digest, and `known` if it still holds, else a new entry; None if the file changed too recently.
    """
    before, started_ns = path.stat(), time.time_ns()
    if known is not None and known == Remembered.of(before, known.sha256):
        return known.sha256, known
    found = sha256_of(path)
    entry = Remembered.of(before, found)
    is_settled = started_ns - max(before.st_ctime_ns, before.st_mtime_ns) > settled_ns(before.st_dev)
    return found, entry if is_settled and entry == Remembered.of(path.stat(), found) else None
