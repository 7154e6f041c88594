"""Replaces the rows of the plates that changed in a ledger, and of no others.

A ledger of many plates is a folder of parts. A plate stays in the part that it came into, so that the cost of a plate
that changed is that of one part.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
    return RowsOfPlates.of_ledger(dataset, path, table).of(plate_ids, columns)


class RowsOfPlates:
    """The rows that a ledger has of some plates and then of others, by the parts that it has now."""

    def __init__(self, parts: Sequence[Part], table: Table):
        self._parts, self._table = parts, table

    @classmethod
    def of_ledger(cls, dataset: Dataset, path: Path, table: Table) -> "RowsOfPlates":
        """Those of a ledger's file. Rows of a damaged part are left out."""
        return cls(read_parts(dataset, path, table), table)

    @cached_property
    def _path_of(self) -> dict[str, Path]:
        return {plate_id: part.path for part in self._parts for plate_id in part.made_of.signatures}

    def of(self, plate_ids: Collection[str], columns: Sequence[str] = ()) -> pl.DataFrame:
        """The rows of some plates, which reads the parts that these are in.

        Args:
            plate_ids: the plates.
            columns: the columns to read; all by default.
        """
        paths = dict.fromkeys(self._path_of[one] for one in plate_ids if one in self._path_of)
        rows = read_files(list(paths), self._table, columns)
        return rows.filter(pl.col(PLATE_ID.name).is_in(set(plate_ids)))


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
    present = RowsOfPlates([one for one in parts if one not in kept], table)
    changes = _Changes(table, present, frozenset(stale), make, common)
    written = ((name, changes.part(plate_ids, wanted, name)) for name, plate_ids in plates.items())
    if len(plates) > 1 or path.is_dir():
        write_parts(dataset, path, written, kept)
        return scan_table(path, table)
    (alone,) = written
    write_parts(dataset, path, [alone], kept)
    return scan_table(path, table) if path.is_dir() else alone[1][0].lazy()


@dataclass(frozen=True)
class _Changes:
    """Makes the parts that change, one after another, so that the rows of one part are in memory at a time.

    Attributes:
        table: the ledger's table.
        present: the rows of the present parts that are replaced.
        stale: the plates whose rows are made again.
        make: makes them.
        common: the rows of no plate.
    """

    table: Table
    present: RowsOfPlates
    stale: frozenset[str]
    make: Make
    common: pl.DataFrame | None

    def part(self, plate_ids: Sequence[str], wanted: MadeOf, name: str) -> tuple[pl.DataFrame, Mapping[str, str]]:
        """The rows of a part and what it states. The first part also has the rows of no plate."""
        rows, unsettled = self._rows(plate_ids)
        frames = [self.table.conform(frame) for frame in rows if not frame.is_empty()]
        if self.common is not None and name == part_name(0):
            frames.append(self.table.conform(self.common))
        signatures = {one: "" if one in unsettled else wanted.signatures[one] for one in plate_ids}
        stated = {MADE_OF_KEY: MadeOf(wanted.context, signatures).as_json()}
        if len(frames) == 1:
            return frames[0], stated
        return self.table.conform(pl.concat(frames)) if frames else self.table.empty, stated

    def _rows(self, plate_ids: Sequence[str]) -> tuple[tuple[pl.DataFrame, pl.DataFrame], Collection[str]]:
        """The rows that stay and those that are made, and which of these do not follow from signatures alone."""
        old = self.present.of(plate_ids)
        stale = [one for one in plate_ids if one in self.stale]
        is_stale = pl.col(PLATE_ID.name).is_in(stale)
        made, unsettled = self.make(stale, old.filter(is_stale)) if stale else (old.clear(), ())
        return (old.filter(~is_stale), made), unsettled


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
