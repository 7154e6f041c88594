"""A memory of what was read of files, on disk, which holds for as long as `stat` reports that none of them changed."""

import hashlib
import json
import os
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from atlas_resources.files.hosts.freshness import settled_ns

NAME = ".known.db"
"""In the dataset's root. Safe to delete."""
BUSY_SECONDS = 10
BLOCKS = 64
"""What is known of a facet is in as many rows, each with a checksum: one is written whole for each subject learnt."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks (
    facet TEXT, block INTEGER, content TEXT, checksum INTEGER, PRIMARY KEY (facet, block)
) WITHOUT ROWID
"""
Result = TypeVar("Result")


Known = Sequence[Any]
"""What is known of a subject: a digest of what `stat` reported of its files, a digest of what was read, and that."""


class Found(NamedTuple):
    """What is known of subjects at present, by subject.

    Attributes:
        values: what was read of each.
        digests: a digest of what was read of each.
    """

    values: dict[str, Any]
    digests: dict[str, str]


@dataclass
class _Look:
    """What was asked of the files of a dataset in one look at them."""

    root: Path
    results: dict[str, Any] = field(default_factory=dict)


_LOOK: ContextVar[_Look | None] = ContextVar("look", default=None)


_OF_RUN: dict[str, _Look] = {}
"""The last look that was begun for a run."""


@contextmanager
def one_look(root: Path, *, of_run: str = "") -> Iterator[None]:
    """Within the block the plates' files of a dataset are looked at once: what is asked again is answered as before.

    So all that is made in the block is made of one state, or of later files, which the next look finds changed. What
    was learnt is written at its end.

    Args:
        root: the dataset's root.
        of_run: names a look that goes on in the next block of the same name; empty for one that ends with the block.
    """
    look = _LOOK.get()
    if look is not None and look.root == root:
        yield
        return
    look = _OF_RUN.get(of_run)
    if look is None or look.root != root:
        look = _Look(root)
    if of_run:
        _OF_RUN.clear()
        _OF_RUN[of_run] = look
    token = _LOOK.set(look)
    try:
        yield
    finally:
        _LOOK.reset(token)
        memory_of(root).write()


def once(root: Path, question: str, answer: Callable[[], Result]) -> Result:
    """The answer to a question about the files of a dataset, which is not sought twice in one look at them."""
    look = _LOOK.get()
    if look is None or look.root != root:
        return answer()
    if question not in look.results:
        look.results[question] = answer()
    return look.results[question]


class Memory:
    """What is known of the files of one dataset. Threads may use it at the same time, one after another.

    A block counts only if its checksum holds, so that a damaged file costs reading again and nothing else. What cannot
    be written is not remembered: the dataset may be read-only.
    """

    def __init__(self, root: Path):
        self._root = root
        self._path = root / NAME
        self._facets: dict[str, dict[str, Known]] = {}
        self._changed: dict[str, set[int]] = {}
        self._lock = threading.RLock()

    def look_up(
        self,
        facet: str,
        subjects: Iterable[str],
        files: Callable[[str, Any], Sequence[str]],
        read: Callable[[str], Any],
        *,
        follows: Mapping[str, str] | None = None,
        is_all: bool = True,
    ) -> Found:
        """What `read` returns of each subject, or returned since one of its files last changed.

        A file that changed within a tick of the clock before it was read is read again the next time: a second change
        within the tick would leave no trace.

        Args:
            facet: what is read, with the version of how it is read.
            subjects: the subjects.
            files: the paths that decide whether a subject changed, given what was last read of it, or None. A path may
                be missing, or be a folder, which changes when a name in it does.
            read: reads a subject. Returns what JSON can hold, or None, which is not remembered.
            follows: what else the value of each subject follows from.
            is_all: whether these are all subjects, so that others can be forgotten.

        Raises:
            Exception: what `read` raises.
        """
        with self._lock:
            known = self._facet(facet)
            found, learnt = _read_changed(known, subjects, files, read, follows or {})
            gone = [subject for subject in known if subject not in found.values] if is_all else []
            if learnt or gone:
                for subject in gone:
                    del known[subject]
                known.update(learnt)
                self._changed.setdefault(facet, set()).update(map(_block, (*learnt, *gone)))
                look = _LOOK.get()
                if look is None or look.root != self._root:
                    self.write()
            return found

    def write(self) -> None:
        """Keeps on disk what was learnt. Of a file that is no database a new one is made; one in use stays."""
        with self._lock:
            if not self._changed:
                return
            rows = [row for facet, blocks in self._changed.items() for row in _rows(facet, blocks, self._facet(facet))]
            _write(self._path, rows)
            self._changed.clear()

    def _facet(self, facet: str) -> dict[str, Known]:
        known = self._facets.get(facet)
        if known is None:
            known = self._facets[facet] = _load(self._path, facet)
        return known


def _read_changed(
    known: Mapping[str, Known],
    subjects: Iterable[str],
    files: Callable[[str, Any], Sequence[str]],
    read: Callable[[str], Any],
    follows: Mapping[str, str],
) -> tuple[Found, dict[str, Known]]:
    """What is known or read of each subject, and what of it can be remembered."""
    values: dict[str, Any] = {}
    digests: dict[str, str] = {}
    learnt: dict[str, Known] = {}
    now_ns = time.time_ns()
    for subject in subjects:
        basis = follows.get(subject, "") if follows else ""
        one = known.get(subject)
        if one is not None and one[0] == basis + _status(files(subject, one[2])):
            digests[subject], values[subject] = one[1], one[2]
            continue
        paths = files(subject, None)
        status = basis + _status(paths)
        settled_at_ns = _settled_at_ns(paths)
        value = values[subject] = read(subject)
        digests[subject] = digest = content_digest(value)
        if value is not None and now_ns > settled_at_ns:
            learnt[subject] = [status, digest, value]
    return Found(values, digests), learnt


def content_digest(value: Any) -> str:
    """A short digest of what JSON can hold."""
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()[:16]


def _status(paths: Iterable[str]) -> str:
    """A digest of what `stat` reports of files."""
    facts: list[int] = []
    for path in paths:
        try:
            stat = os.stat(path)
        except OSError as error:
            facts.append(error.errno or 0)
        else:
            facts += (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    try:
        packed = struct.pack(f"{len(facts)}Q", *facts)
    except struct.error:  # a time before 1970
        packed = repr(facts).encode()
    return hashlib.blake2b(packed, digest_size=12).hexdigest()


def _settled_at_ns(paths: Iterable[str]) -> int:
    """From when on `stat` shows each change of some files; asked after their status, so that no change is missed."""
    settled_at_ns = 0
    for path in paths:
        with suppress(OSError):
            stat = os.stat(path)
            settled_at_ns = max(settled_at_ns, stat.st_ctime_ns + settled_ns(stat.st_dev))
    return settled_at_ns


def _block(subject: str) -> int:
    return zlib.crc32(subject.encode()) % BLOCKS


def _load(path: Path, facet: str) -> dict[str, Known]:
    """What is known of a facet; nothing if there is no such file, or it is damaged: the next write makes another."""
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as connection:
            query = "SELECT block, content, checksum FROM blocks WHERE facet = ?"
            rows = connection.execute(query, (facet,)).fetchall()
    except sqlite3.Error:
        return {}
    known: dict[str, Known] = {}
    for block, content, checksum in rows:
        if _checksum(facet, block, content) == checksum:
            known.update(json.loads(content))
    return known


def _checksum(facet: str, block: int, content: str) -> int:
    return zlib.crc32(f"{facet}\n{block}\n{content}".encode())


def _rows(facet: str, blocks: set[int], known: Mapping[str, Known]) -> Iterator[tuple[str, int, str, int]]:
    contents: dict[int, dict[str, Known]] = {block: {} for block in blocks}
    for subject, one in known.items():
        if (block := _block(subject)) in contents:
            contents[block][subject] = one
    for block, content in contents.items():
        text = json.dumps(content, separators=(",", ":"))
        yield facet, block, text, _checksum(facet, block, text)


def _write(path: Path, rows: Sequence[tuple[str, int, str, int]]) -> None:
    """Nothing is flushed: what a power cut takes or damages is read again."""
    for _ in range(2):
        try:
            with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection, connection:
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute(SCHEMA)
                connection.executemany("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?)", rows)
            return
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            with suppress(OSError):
                path.unlink()


_MEMORIES: dict[str, Memory] = {}


def memory_of(root: Path) -> Memory:
    """The memory of a dataset, which this process reads from disk once."""
    return _MEMORIES.setdefault(str(root), Memory(root))
