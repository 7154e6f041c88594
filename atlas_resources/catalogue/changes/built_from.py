"""What the catalogue was built from, in a file next to it. Without that file the catalogue is built anew, whole."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.catalogue._view import Macro, View
from atlas_resources.files.stated_digests import name_in_digest, part_paths, stated_digest, stated_digests
from atlas_resources.ledgers.growth.made_of import MadeOf
from atlas_resources.ledgers.growth.parts import read_parts
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.facts import known_sha256
from atlas_resources.tables.ledgers import LEDGERS

NAME = ".catalogue.built_from"
"""In the dataset's root: a SQLite file. Safe to delete."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS built_from (name TEXT PRIMARY KEY, content TEXT, sha256 TEXT) WITHOUT ROWID
"""
CATALOGUE = ""
"""Name of the row that says what the catalogue is; the others are parts of ledgers, such as `embeddings/part-00000`."""


@dataclass(frozen=True)
class BuiltFrom:
    """What a catalogue was built from.

    Attributes:
        catalogue_sha256: of the catalogue.
        definition_sha256: a digest of everything in it but its rows.
        whole_size_bytes: its size when it was last built whole.
        parts: the digest of each file of a ledger, by names of the ledger and of the file.
    """

    catalogue_sha256: str
    definition_sha256: str
    whole_size_bytes: int
    parts: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class LedgerState:
    """A ledger at present.

    Attributes:
        parts: the stated digest of each of its files, by name.
        made_of: what the rows of each file are made of, of those that say so.
    """

    parts: Mapping[str, str]
    made_of: Mapping[str, MadeOf]


def definition_sha256(version: str, tables: Iterable[View], views: Iterable[View], macros: Iterable[Macro]) -> str:
    """A digest of everything in a catalogue but its rows.

    Args:
        version: of DuckDB and its storage format.
        tables: of which the SQL that fills them does not count.
        views: the views.
        macros: the macros.
    """
    digest = hashlib.sha256(version.encode())
    for table in tables:
        digest.update(repr((table.name, table.meaning, sorted(table.columns.items()))).encode())
    for view in views:
        digest.update(repr((view.name, view.sql, view.meaning, sorted(view.columns.items()))).encode())
    for macro in macros:
        digest.update(repr((macro.definition, macro.meaning)).encode())
    return digest.hexdigest()


def read_ledger_states(dataset: Dataset) -> dict[str, LedgerState]:
    """The present state of each ledger, by name; without those whose digest is not stated."""
    states = {}
    for name, table in LEDGERS.items():
        path = ledger_path(dataset, table)
        stated, parts = stated_digests(path), {part.name: part for part in part_paths(path)}
        digests = {one: stated.get(name_in_digest(path, part), "") for one, part in parts.items()}
        if digests and all(digests.values()):
            states[name] = LedgerState(
                digests, {one.path.name: one.made_of for one in read_parts(dataset, path, table)}
            )
    return states


def read_built_from(dataset: Dataset) -> BuiltFrom | None:
    """What the present catalogue was built from; None if that is not known, or it was changed since."""
    rows = _read(dataset.root / NAME, "SELECT name, content, sha256 FROM built_from WHERE name NOT LIKE '%:made_of'")
    if not rows or CATALOGUE not in rows:
        return None
    catalogue_sha256, definition, whole_size_bytes = json.loads(rows.pop(CATALOGUE))
    path = dataset.catalogue_path
    if not catalogue_sha256 == stated_digest(path) == known_sha256(dataset.root, path):
        return None
    parts: dict[str, dict[str, str]] = {}
    for name, sha256 in rows.items():
        ledger, _, part = name.partition("/")
        parts.setdefault(ledger, {})[part] = sha256
    return BuiltFrom(catalogue_sha256, definition, whole_size_bytes, parts)


def read_made_of(dataset: Dataset, ledger: str, part: str) -> MadeOf | None:
    """What the rows of a file of a ledger were made of when the catalogue was built; None if that is not known."""
    rows = _read(
        dataset.root / NAME, "SELECT name, content, sha256 FROM built_from WHERE name = ?", f"{ledger}/{part}:made_of"
    )
    return next((MadeOf.parse(text) for text in rows.values()), None)


def _read(path: Path, query: str, *values: str) -> dict[str, str]:
    """Contents by name; none if one of them is not as it was written."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            rows = connection.execute(query, values).fetchall()
    except sqlite3.Error:
        return {}
    is_whole = all(_checksum(name, content) == sha256 for name, content, sha256 in rows)
    return {name: content for name, content, _ in rows} if is_whole else {}


def _checksum(name: str, content: str) -> str:
    return hashlib.sha256(f"{name}\n{content}".encode()).hexdigest()


def write_built_from(root: Path, built: BuiltFrom, before: BuiltFrom | None, now: Mapping[str, LedgerState]) -> None:
    """Replaces what changed in the file. A process that is killed leaves one that does not fit, so that all is built.

    Args:
        root: the dataset's root.
        built: what the catalogue was built from.
        before: what the file has; None for a new file.
        now: the ledgers that the catalogue has the rows of.
    """
    path, known = root / NAME, before.parts if before else {}
    if before is None:
        with suppress(FileNotFoundError):
            path.unlink()
    rows = [(CATALOGUE, json.dumps([built.catalogue_sha256, built.definition_sha256, built.whole_size_bytes]))]
    for ledger, state in now.items():
        for part, sha256 in state.parts.items():
            if known.get(ledger, {}).get(part) != sha256:
                made_of = state.made_of.get(part)
                rows.append((f"{ledger}/{part}", sha256))
                rows += [(f"{ledger}/{part}:made_of", made_of.as_json())] if made_of else []
    gone = [
        f"{ledger}/{part}"
        for ledger, parts in known.items()
        for part in parts
        if ledger not in now or part not in now[ledger].parts
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")  # what a power cut takes or damages has other checksums
        connection.execute(SCHEMA)
        connection.executemany(
            "DELETE FROM built_from WHERE name = ?", [(f"{one}{end}",) for one in gone for end in ("", ":made_of")]
        )
        written = [(name, content, _checksum(name, content)) for name, content in rows]
        connection.executemany("INSERT OR REPLACE INTO built_from VALUES (?, ?, ?)", written)
