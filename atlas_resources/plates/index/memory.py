"""A memory of what was read of files, on disk, which holds for as long as `stat` reports that none of them changed."""

import hashlib
import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from atlas_resources.files.hosts.freshness import settled_ns

NAME = ".known.db"
"""In the dataset's root. Safe to delete."""
BUSY_SECONDS = 10
LONG_STATUS = 300
"""Characters; of a longer one the digest is kept."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS known (
    facet TEXT, subject TEXT, status TEXT, value TEXT, checksum INTEGER, PRIMARY KEY (facet, subject)
) WITHOUT ROWID
"""
Known = dict[str, tuple[str, Any]]
"""The status of a subject's files when they were read, and what was read, by subject."""


class Memory:
    """What is known of the files of one dataset. Threads may use it at the same time, one after another.

    A row counts only if its checksum holds, so that a damaged file costs reading again and nothing else. What cannot be
    written is not remembered: the dataset may be read-only.
    """

    def __init__(self, root: Path):
        self._path = root / NAME
        self._facets: dict[str, Known] = {}
        self._lock = threading.RLock()

    def look_up(self, facet: str, files: Mapping[str, Sequence[str]], read: Callable[[str], Any]) -> dict[str, Any]:
        """What `read` returns of each subject, or returned since one of its files last changed.

        A file that changed within a tick of the clock before it was read is read again the next time: a second change
        within the tick would leave no trace.

        Args:
            facet: what is read, with the version of how it is read.
            files: the paths that decide whether a subject changed, by subject; what is known of others is forgotten. A
                path may be missing, or be a folder, which changes when a name in it does.
            read: reads a subject. Returns what JSON can hold, or None, which is not remembered.

        Raises:
            Exception: what `read` raises.
        """
        with self._lock:
            known = self._facets.get(facet)
            if known is None:
                known = self._facets[facet] = _load(self._path, facet)
            found, learnt = _read_changed(known, files, read)
            gone = [subject for subject in known if subject not in files]
            if learnt or gone:
                for subject in gone:
                    del known[subject]
                known.update(learnt)
                _save(self._path, facet, learnt, gone)
            return found


def _read_changed(
    known: Known, files: Mapping[str, Sequence[str]], read: Callable[[str], Any]
) -> tuple[dict[str, Any], Known]:
    """What is known or read of each subject, and what of it can be remembered."""
    found: dict[str, Any] = {}
    learnt: Known = {}
    for subject, paths in files.items():
        now_ns = time.time_ns()
        status, settled_at_ns = _status(paths)
        one = known.get(subject)
        if one is not None and one[0] == status:
            found[subject] = one[1]
            continue
        value = found[subject] = read(subject)
        if value is not None and now_ns > settled_at_ns:
            learnt[subject] = status, value
    return found, learnt


def _status(paths: Iterable[str]) -> tuple[str, int]:
    """What `stat` reports of files, as one text, and from when on it shows each change of theirs, ns."""
    texts, settled_at_ns = [], 0
    for path in paths:
        try:
            stat = os.stat(path)
        except OSError as error:
            texts.append(f"-{error.errno}")
            continue
        texts.append(f"{stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}")
        settled_at_ns = max(settled_at_ns, stat.st_ctime_ns + settled_ns(stat.st_dev))
    text = "|".join(texts)
    return text if len(text) <= LONG_STATUS else hashlib.sha256(text.encode()).hexdigest(), settled_at_ns


def _checksum(facet: str, subject: str, status: str, value: str) -> int:
    return zlib.crc32("\n".join((facet, subject, status, value)).encode())


def _load(path: Path, facet: str) -> Known:
    """What is known of a facet; nothing if there is no such file, or it is damaged: the next save makes another."""
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as connection:
            query = "SELECT subject, status, value, checksum FROM known WHERE facet = ?"
            rows = connection.execute(query, (facet,)).fetchall()
    except sqlite3.Error:
        return {}
    return {
        subject: (status, json.loads(value))
        for subject, status, value, checksum in rows
        if _checksum(facet, subject, status, value) == checksum
    }


def _save(path: Path, facet: str, learnt: Known, gone: Sequence[str]) -> None:
    """Keeps what was learnt. Of a file that is no database a new one is made; one that is in use or read-only stays."""
    for _ in range(2):
        try:
            with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection, connection:
                connection.execute(SCHEMA)
                connection.executemany(
                    "DELETE FROM known WHERE facet = ? AND subject = ?", ((facet, subject) for subject in gone)
                )
                connection.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?)", _rows(facet, learnt))
            return
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            with suppress(OSError):
                path.unlink()


def _rows(facet: str, learnt: Known) -> Iterable[tuple[str, str, str, str, int]]:
    for subject, (status, content) in learnt.items():
        value = json.dumps(content)
        yield facet, subject, status, value, _checksum(facet, subject, status, value)


_MEMORIES: dict[str, Memory] = {}


def memory_of(root: Path) -> Memory:
    """The memory of a dataset, which this process reads from disk once."""
    return _MEMORIES.setdefault(str(root), Memory(root))
