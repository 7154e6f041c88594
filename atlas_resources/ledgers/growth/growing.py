"""Replaces the rows of the plates that changed in a ledger, and of no others."""

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from atlas_resources.files.stated_digests import stated_digest_problem
from atlas_resources.ledgers.parquet import ledger_path, read_table, write_table
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.table import PLATE_ID, Table

MADE_OF_KEY = "atlas.made_of"
"""Key of the Parquet metadata under which a ledger states what its rows were made from."""
Make = Callable[[list[str], pl.DataFrame], tuple[pl.DataFrame, Collection[str]]]
"""Makes the rows of some plates, given those that the ledger has of them. Returns them, and the plates among them whose
rows do not follow from their signature alone, such as those with a broken file: they are made again the next time."""


@dataclass(frozen=True)
class MadeOf:
    """What the rows of a ledger were made from.

    Attributes:
        context: digest of what all plates have in common, such as the instruments.
        signatures: digest of what decides the rows of each plate, by id; also of plates without rows. Empty for a plate
            whose rows do not follow from that alone: they are made each time.
    """

    context: str
    signatures: dict[str, str]

    def as_json(self) -> str:
        """The text that `parse` reads."""
        return json.dumps([self.context, dict(sorted(self.signatures.items()))], separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> "MadeOf":
        """Reads what `as_json` wrote. Raises ValueError."""
        context, signatures = json.loads(text)
        return cls(context, signatures)


NOTHING = MadeOf("", {})


def signature(*facts: object) -> str:
    """A short digest of facts."""
    return hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:20]


def read_made_of(path: Path, table: Table) -> MadeOf:
    """What a ledger's rows were made from.

    Nothing, so that all rows are made again, if the file is missing, is not the one that was built, has other columns,
    or is of a release that did not state it.
    """
    if not path.is_file() or stated_digest_problem(path):
        return NOTHING
    try:
        with path.open("rb") as file:
            if pl.read_parquet_schema(file) != dict(table.schema):
                return NOTHING
            file.seek(0)
            stated = pl.read_parquet_metadata(file).get(MADE_OF_KEY)
        return MadeOf.parse(stated) if stated else NOTHING
    except (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return NOTHING


def stale_plates(made_of: MadeOf, wanted: MadeOf) -> list[str]:
    """The plates whose rows are not made of what is wanted, in the order of `wanted`."""
    if made_of.context != wanted.context:
        return list(wanted.signatures)
    held = made_of.signatures
    return [one for one, text in wanted.signatures.items() if not text or held.get(one) != text]


def combined(parts: Sequence[MadeOf], *facts: object) -> MadeOf:
    """What rows are made of that follow from several ledgers, and from facts that all plates have in common.

    Nothing, if one of the ledgers does not state what it is made of.
    """
    if any(part is NOTHING for part in parts):
        return NOTHING
    held = [part.signatures for part in parts]
    signatures = {}
    for plate_id in dict.fromkeys(plate_id for one in held for plate_id in one):
        found = [one.get(plate_id, "none") for one in held]
        signatures[plate_id] = signature(*found) if all(found) else ""
    return MadeOf(signature(*(part.context for part in parts), *facts), signatures)


def grow(
    dataset: Dataset,
    table: Table,
    wanted: MadeOf,
    make: Make,
    *,
    path: Path | None = None,
    is_kept: bool = True,
    common: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Brings a ledger up to date: makes the rows of plates that changed, and drops those of plates that are gone.

    If nothing changed, no file is written. The file states what its rows are made of, so that a process that is killed
    leaves the old rows with their signatures, or the new ones with theirs.

    Args:
        dataset: the dataset.
        table: the ledger's table.
        wanted: what its rows should be made of, for every plate. It is read before this is called, so that what
            changes while rows are made is noticed the next time.
        make: makes the rows of plates.
        path: the file; by default that of the table.
        is_kept: whether rows that the file has may be used.
        common: the rows of no plate, which follow from the context.

    Returns:
        All rows of the ledger, in the table's columns and order.
    """
    path = path or ledger_path(dataset, table)
    made_of = read_made_of(path, table) if is_kept else NOTHING
    old = read_table(path, table) if made_of is not NOTHING else None
    if old is None:
        made_of, old = NOTHING, table.schema.to_frame()
    stale = stale_plates(made_of, wanted)
    gone = made_of.signatures.keys() - wanted.signatures.keys()
    if not stale and not gone and made_of is not NOTHING:
        return old
    replaced = pl.col(PLATE_ID.name).is_in(stale)
    made, unsettled = make(stale, old.filter(replaced)) if stale else (old.clear(), ())
    kept = old.filter(~replaced, ~pl.col(PLATE_ID.name).is_in(list(gone)))
    signatures = wanted.signatures | dict.fromkeys(unsettled, "")
    stated = {MADE_OF_KEY: MadeOf(wanted.context, signatures).as_json()}
    parts = [kept, table.conform(made), *([] if common is None else [table.conform(common)])]
    return write_table(dataset, path, table, pl.concat(parts), stated)
