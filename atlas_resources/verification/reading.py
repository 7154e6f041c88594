"""How a verification reads files: what it hashes, what it takes from an earlier one, and how much it has read."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

from atlas_resources.files.digests import Remembered, hash_once, read_memory, write_memory
from atlas_resources.plates.dataset import Dataset
from atlas_resources.verification.findings import Kind

Level = Literal["quick", "standard", "deep"]
LEVELS: dict[Level, str] = {
    "quick": "Lists folders, compares sizes and reads JSON files. Hashes no image and no Parquet file.",
    "standard": "Also hashes every file, unless it has not changed by `stat` since an earlier verification hashed it.",
    "deep": "Also hashes those again, decodes masks and vectors, and builds the ledgers again to compare them.",
}
"""What each level does."""
MEMORY_NAME = ".verified.json"
THREADS = max(2, os.cpu_count() or 2)


class Reader:
    """Reads the files of one verification. Threads may use it at the same time.

    Attributes:
        level: how thoroughly files are read.
        file_count: files looked at.
        hashed_bytes: bytes that were hashed.
    """

    def __init__(self, dataset: Dataset, level: Level):
        self.level = level
        self.file_count = 0
        self.hashed_bytes = 0
        self._root = dataset.root
        self._memory_path = dataset.root / MEMORY_NAME
        self._known = {} if level == "deep" else read_memory(self._memory_path)
        self._seen: dict[str, Remembered] = {}
        self._lock = threading.Lock()

    @property
    def is_deep(self) -> bool:
        """Whether contents are decoded."""
        return self.level == "deep"

    def count(self) -> None:
        """Counts a file that was looked at."""
        with self._lock:
            self.file_count += 1

    def sha256(self, path: Path) -> str:
        """The digest of a file, remembered or hashed now. Raises OSError."""
        name = path.relative_to(self._root).as_posix()
        known = self._known.get(name)
        digest, entry = hash_once(path, known)
        with self._lock:
            if entry is not None:
                self._seen[name] = entry
            if entry is None or entry is not known:
                self.hashed_bytes += path.stat().st_size
        return digest

    def difference(self, path: Path, sha256: str, size_bytes: int | None = None) -> tuple[Kind, str] | None:
        """How a file differs from its digest, as kind and problem; None if it does not. Hashes nothing if quick.

        Args:
            path: the file.
            sha256: expected, 64 hex digits.
            size_bytes: expected; None if not known.
        """
        self.count()
        try:
            found_bytes = path.stat().st_size
            if not path.is_file() or path.is_symlink():
                return "altered", "expected a file, found a link or a folder"
            if size_bytes is not None and found_bytes != size_bytes:
                problem = f"expected {size_bytes} bytes, found {found_bytes}"
                return ("truncated" if found_bytes < size_bytes else "altered"), problem
            if self.level == "quick":
                return None
            found = self.sha256(path)
        except FileNotFoundError:
            return "missing", f"expected a file with sha256 {sha256}, found none"
        except OSError as error:
            return "altered", f"cannot be read: {error.strerror}"
        return None if found == sha256 else ("altered", f"expected sha256 {sha256}, found {found}")

    def save(self) -> None:
        """Remembers the digests for the next verification. A dataset that cannot be written is hashed again then."""
        with suppress(OSError):
            write_memory(self._memory_path, {**self._known, **self._seen} if self.level == "quick" else self._seen)
