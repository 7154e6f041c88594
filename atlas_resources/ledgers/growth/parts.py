"""The file of a ledger, or its folder of parts: which are as they were built, what they are made of, replacing them.

Which plates are in which part is decided in `growing.py`.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from atlas_resources.files.digests import sha256_of
from atlas_resources.files.durable import (
    make_folder,
    remove,
    sweep_leftovers,
    sync_folder,
    take_the_place,
    write_bytes_atomically,
    write_in_place_of,
    write_synced,
)
from atlas_resources.files.locking import locked
from atlas_resources.files.stated_digests import name_in_digest, part_paths, state_digest, stated_digests
from atlas_resources.ledgers.growth.made_of import NOTHING, MadeOf
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.memory import content_digest, memory_of
from atlas_resources.runs.sealing import parquet_bytes
from atlas_resources.tables.table import Table

MADE_OF_KEY = "atlas.made_of"
"""Key of the Parquet metadata under which a file states what its rows were made from."""
DIFFERENT_PARTS = 4096
"""What so many parts are made of is kept in this process; ledgers of the same plates often state the same."""
_SIGNATURES: dict[str, Mapping[str, str]] = {}
UNREADABLE = (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)


@dataclass(frozen=True)
class Part:
    """A file of a ledger that is as it was built.

    Attributes:
        path: the file.
        sha256: its digest.
        made_of: what the rows of its plates were made from.
    """

    path: Path
    sha256: str
    made_of: MadeOf


def part_name(number: int) -> str:
    """The name of a part in its folder."""
    return f"part-{number:05d}.parquet"


def read_parts(dataset: Dataset, path: Path, table: Table) -> list[Part]:
    """The files of a ledger that are as they were built, have the table's columns and state what they are made of.

    A file is hashed unless `stat` reports that it is the one that was hashed before.
    """
    found = []
    for part, (digest, context, signatures_digest) in _as_built(dataset, path, table).items():
        signatures = _signatures(part, signatures_digest) if context else None
        found += [] if signatures is None else [Part(part, digest, MadeOf(context, signatures))]
    return found


def is_as_built(dataset: Dataset, path: Path, table: Table) -> bool:
    """Whether a ledger is there, and every file of it is as it was built and has the table's columns."""
    parts = part_paths(path)
    names = {name_in_digest(path, part) for part in parts}
    return bool(parts) and names == stated_digests(path).keys() and len(_as_built(dataset, path, table)) == len(parts)


def _as_built(dataset: Dataset, path: Path, table: Table) -> dict[Path, tuple[str, str, str]]:
    """Digest, context and digest of signatures of each file of a ledger that is as it was built."""
    stated = stated_digests(path)
    named = {name_in_digest(path, part): part for part in part_paths(path)}
    parts = {part.relative_to(dataset.root).as_posix(): part for name, part in named.items() if name in stated}
    found = memory_of(dataset.root).look_up(
        "built 1",
        parts,
        lambda subject, value: (str(parts[subject]),),
        lambda subject: _read_facts(parts[subject]),
        is_all=False,
    )
    columns, whole = columns_digest(table), {}
    for subject, part in parts.items():
        digest, of_columns, context, signatures_digest = found.values[subject] or ("", "", "", "")
        if (digest, of_columns) == (stated[name_in_digest(path, part)], columns):
            whole[part] = digest, context, signatures_digest
    return whole


def _read_facts(path: Path) -> list[str] | None:
    """Digests of a file and of its columns, and what it states that it is made of: the context, and a digest.

    None if it is no Parquet file.
    """
    try:
        digest = sha256_of(path)
        with path.open("rb") as file:
            columns = _digest(pl.read_parquet_schema(file))
        made_of = _read_made_of(path)
    except UNREADABLE:
        return None
    signatures_digest = content_digest(made_of.signatures)
    _SIGNATURES[signatures_digest] = made_of.signatures
    return [digest, columns, made_of.context, signatures_digest]


def _read_made_of(path: Path) -> MadeOf:
    with path.open("rb") as file:
        stated = pl.read_parquet_metadata(file).get(MADE_OF_KEY)
    return MadeOf.parse(stated) if stated else NOTHING


def _signatures(path: Path, digest: str) -> Mapping[str, str] | None:
    """What the rows of a part's plates were made of, by its digest; None if the file was replaced just now."""
    if digest not in _SIGNATURES:
        if len(_SIGNATURES) >= DIFFERENT_PARTS:
            _SIGNATURES.clear()
        with suppress(*UNREADABLE):
            signatures = _read_made_of(path).signatures
            _SIGNATURES[content_digest(signatures)] = signatures
    return _SIGNATURES.get(digest)


@lru_cache
def columns_digest(table: Table) -> str:
    """A digest of the names and types of a table's columns."""
    return _digest(table.schema)


def _digest(schema: Mapping[str, Any]) -> str:
    return hashlib.sha256(repr(list(schema.items())).encode()).hexdigest()[:16]


def write_parts(
    dataset: Dataset,
    path: Path,
    written: Iterable[tuple[str, tuple[pl.DataFrame, Mapping[str, str]]]],
    kept: Sequence[Part],
) -> None:
    """Replaces a ledger and its digests. One part alone is a file; more are a folder of parts.

    Args:
        dataset: the dataset.
        path: the ledger's file.
        written: the name of each new and each changed part, its rows in the table's columns and order, and what it
            states. Rows are let go of before the next are taken.
        kept: the parts that stay as they are.
    """
    contents = {name: parquet_bytes(rows, stated) for name, (rows, stated) in written}
    sweep_leftovers(path.parent)
    make_folder(dataset.locks_dir)
    with locked(dataset.locks_dir / "ledgers"):  # two writers would leave the file of one and the digest of the other
        if list(contents) == [part_name(0)] and not kept:
            write_in_place_of(path, contents[part_name(0)])
        else:
            _replace_parts(path, contents, kept)
        names = {part_name(0) if one.path == path else one.path.name: one.sha256 for one in kept}
        state_digest(path, {f"{path.name}/{name}": sha256 for name, sha256 in names.items()})


def _replace_parts(path: Path, contents: Mapping[str, bytes], kept: Sequence[Part]) -> None:
    """Makes a path a folder that has these parts and no others. Readers find all old parts or all new ones.

    One part in an existing folder is replaced in place. Otherwise a folder is made beside it, with links to the parts
    that are kept, and takes its place.
    """
    is_folder = path.is_dir()
    if is_folder and len(contents) == 1:
        ((name, content),) = contents.items()
        if {one.name for one in part_paths(path)} <= {name, *(one.path.name for one in kept)}:
            write_bytes_atomically(path / name, content)
            return
    beside = _beside(path)
    try:
        make_folder(beside)
        for one in kept:
            _link(one.path, beside / (one.path.name if is_folder else part_name(0)))
        for name, content in contents.items():
            write_synced(beside / name, content)
        sync_folder(beside)
        take_the_place(beside, path)
    finally:
        remove(beside)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)
