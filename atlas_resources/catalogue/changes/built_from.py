"""What the catalogue was built from, in a file next to it. Without that file the catalogue is built anew, whole."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from atlas_resources.catalogue._view import Macro, View
from atlas_resources.files.contract import Contract, FileContract, Sha256
from atlas_resources.files.durable import write_json_atomically
from atlas_resources.files.stated_digests import stated_digest, stated_digest_problem
from atlas_resources.ledgers.growth.growing import NOTHING, read_made_of
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.tables.ledgers import LEDGERS

NAME = ".catalogue.built_from"
"""In the dataset's root. Safe to delete."""


class LedgerState(Contract):
    """A ledger as it went into the catalogue."""

    sha256: Sha256
    made_of: str
    """What `MadeOf.as_json` gives; empty for a ledger that does not state it."""


class BuiltFrom(FileContract):
    """What a catalogue was built from."""

    catalogue_sha256: Sha256
    definition_sha256: Sha256
    whole_size_bytes: int
    """Size of the catalogue when it was last built whole."""
    ledgers: dict[str, LedgerState]


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
        if digest := stated_digest(path):
            made_of = read_made_of(path, table)
            states[name] = LedgerState(sha256=digest, made_of="" if made_of is NOTHING else made_of.as_json())
    return states


def read_built_from(dataset: Dataset) -> BuiltFrom | None:
    """What the present catalogue was built from; None if that is not known, or it was changed since."""
    try:
        built = read_json(dataset.root / NAME, BuiltFrom)
    except DatasetBroken:
        return None
    path = dataset.catalogue_path
    is_same = stated_digest(path) == built.catalogue_sha256 and not stated_digest_problem(path)
    return built if is_same else None


def write_built_from(root: Path, built: BuiltFrom) -> None:
    """Replaces the file. A process that is killed before leaves one that does not fit, so that all is built anew."""
    write_json_atomically(root / NAME, built)
