"""Replaces the rows of the plates that changed in a ledger, and of no others.

A ledger of many plates is a folder of parts. A plate stays in the part that it came into, so that the cost of a plate
that changed is that of one part.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from atlas_resources.files.stated_digests import part_paths
from atlas_resources.ledgers.growth.made_of import NOTHING, MadeOf, stale_plates
from atlas_resources.ledgers.growth.parts import MADE_OF_KEY, Part, part_name, read_parts, write_parts
from atlas_resources.ledgers.parquet import ledger_path, read_files, scan_table
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.table import PLATE_ID, Table

PLATES_PER_PART = 500
Make = Callable[[list[str], pl.DataFrame], tuple[pl.DataFrame, Collection[str]]]
"""Makes the rows of some plates, given those that the ledger has of them. Returns them, and the plates among them whose
rows do not follow from their signature alone, such as those with a broken file: they are made again the next time."""


def read_made_of(dataset: Dataset, path: Path, table: Table) -> MadeOf:
    """What a ledger's rows were made from.

    Nothing, so that all rows are made again, if no file is as it was built with the table's columns, or it is of a
    release that did not state it. The plates of a part that is not as it was built are missing.
    """
    return _joined(read_parts(dataset, path, table))


def _joined(parts: Sequence[Part]) -> MadeOf:
    contexts = {part.made_of.context for part in parts}
    if len(contexts) != 1:  # none, or parts that somebody put together
        return NOTHING
    if len(parts) == 1:
        return parts[0].made_of
    return MadeOf(contexts.pop(), {one: text for part in parts for one, text in part.made_of.signatures.items()})


def read_rows_of(
    dataset: Dataset, path: Path, table: Table, plate_ids: Collection[str], columns: Sequence[str] = ()
) -> pl.DataFrame:
    """The rows that a ledger has of some plates, from the parts that these are in. Rows of a damaged part are left out.

    Args:
        dataset: the dataset.
        path: the ledger's file.
        table: the ledger's table.
        plate_ids: the plates.
        columns: the columns to read; all by default.
    """
    wanted = set(plate_ids)
    parts = [one for one in read_parts(dataset, path, table) if not wanted.isdisjoint(one.made_of.signatures)]
    rows = read_files([one.path for one in parts], table, columns)
    return rows.filter(pl.col(PLATE_ID.name).is_in(wanted))


def grow(
    dataset: Dataset,
    table: Table,
    wanted: MadeOf,
    make: Make,
    *,
    path: Path | None = None,
    is_kept: bool = True,
    common: pl.DataFrame | None = None,
) -> pl.LazyFrame:
    """Makes the rows of plates that changed, and drops those of plates that are gone. Writes what changed.

    A file states what its rows are made of: a killed process leaves the old rows and signatures, or the new ones.

    Args:
        dataset: the dataset.
        table: the ledger's table.
        wanted: what its rows should be made of, read before: what changes meanwhile is noticed the next time.
        make: makes the rows of plates.
        path: the file; by default that of the table.
        is_kept: whether rows that the file has may be used.
        common: the rows of no plate, which follow from the context.

    Returns:
        All rows of the ledger, in the table's columns and order, read once they are collected.
    """
    path = path or ledger_path(dataset, table)
    parts = read_parts(dataset, path, table) if is_kept else []
    made_of = _joined(parts)
    if made_of is NOTHING:
        parts = []
    stale = stale_plates(made_of, wanted)
    gone = made_of.signatures.keys() - wanted.signatures.keys()
    is_whole = len(parts) == len(part_paths(path))
    if not stale and not gone and is_whole and made_of is not NOTHING:
        return scan_table(path, table)
    if made_of.context == wanted.context:
        plates, kept = _changed_parts(path, parts, stale, gone)
    else:
        plates, kept = _new_parts(list(wanted.signatures), 0), []
    old = read_files([one.path for one in parts if one not in kept], table)
    is_stale = pl.col(PLATE_ID.name).is_in(stale)
    made, unsettled = make(stale, old.filter(is_stale)) if stale else (old.clear(), ())
    rows = table.conform(made)
    if is_mixed := not old.is_empty():
        rows = pl.concat([old.filter(~is_stale, ~pl.col(PLATE_ID.name).is_in(list(gone))), rows])
    signatures = {**wanted.signatures, **dict.fromkeys(unsettled, "")}
    written = dict(_written(table, rows, plates, MadeOf(wanted.context, signatures), common, is_sorted=not is_mixed))
    write_parts(dataset, path, written, kept)
    return scan_table(path, table) if path.is_dir() else written[part_name(0)][0].lazy()


def _written(
    table: Table,
    rows: pl.DataFrame,
    plates: Mapping[str, Sequence[str]],
    made_of: MadeOf,
    common: pl.DataFrame | None,
    *,
    is_sorted: bool,
) -> Iterator[tuple[str, tuple[pl.DataFrame, Mapping[str, str]]]]:
    """Name, rows and statement of each part. The first also has the rows of no plate."""
    for name, plate_ids in plates.items():
        own = rows.filter(pl.col(PLATE_ID.name).is_in(plate_ids)) if len(plates) > 1 else rows
        of_none = common if name == part_name(0) else None
        if of_none is not None:
            own = pl.concat([own, table.conform(of_none)])
        stated = MadeOf(made_of.context, {one: made_of.signatures[one] for one in plate_ids}).as_json()
        yield name, (own if is_sorted and of_none is None else table.conform(own), {MADE_OF_KEY: stated})


def _new_parts(plate_ids: Sequence[str], first: int) -> dict[str, list[str]]:
    """The plates of new parts, by their names, which count from a number; at least one part."""
    starts = range(0, max(len(plate_ids), 1), PLATES_PER_PART)
    return {part_name(first + n): list(plate_ids[at : at + PLATES_PER_PART]) for n, at in enumerate(starts)}


def _changed_parts(
    path: Path, parts: Sequence[Part], stale: Sequence[str], gone: Collection[str]
) -> tuple[dict[str, list[str]], list[Part]]:
    """The plates of each part that is written anew, by its name, and the parts that stay as they are.

    New plates come into the last part until it is full. The first part is always there: it has the rows of no plate.
    """
    by_name = {part_name(0) if one.path == path else one.path.name: one for one in parts}
    plates = {name: [one for one in part.made_of.signatures if one not in gone] for name, part in by_name.items()}
    place_of = {one: name for name, plate_ids in plates.items() for one in plate_ids}
    changed = {place_of[one] for one in stale if one in place_of}
    changed |= {name for name, part in by_name.items() if len(plates[name]) < len(part.made_of.signatures)}
    new = [one for one in stale if one not in place_of]
    if part_name(0) not in plates:
        plates[part_name(0)] = []
        changed.add(part_name(0))
    last = max(plates)
    if new and (room := PLATES_PER_PART - len(plates[last])) > 0:
        plates[last] += new[:room]
        changed.add(last)
        new = new[room:]
    if new:
        added = _new_parts(new, int(last.removesuffix(".parquet").removeprefix("part-")) + 1)
        plates |= added
        changed |= added.keys()
    written = {name: plates[name] for name in sorted(changed) if plates[name] or name == part_name(0)}
    return written, [part for name, part in by_name.items() if name not in changed]
