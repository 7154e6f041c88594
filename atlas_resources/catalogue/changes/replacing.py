"""Replaces rows of a catalogue's tables that differ from those of their ledgers, by what each says it is made of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from atlas_resources.catalogue._view import identifier, rows_of
from atlas_resources.catalogue.changes.built_from import LedgerState, read_made_of
from atlas_resources.ledgers.growth.made_of import differing_plates
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import LEDGERS

if TYPE_CHECKING:
    import duckdb

MOST_CHANGED = 0.25
"""With a larger share of plates changed, the rows of all are replaced."""


def replace_changed(
    connection: "duckdb.DuckDBPyConnection",
    dataset: Dataset,
    before: Mapping[str, Mapping[str, str]],
    now: Mapping[str, LedgerState],
) -> None:
    """Brings the tables of an attached catalogue up to date, in the connection's default database.

    Args:
        connection: a connection.
        dataset: the dataset.
        before: the digest of each file that the tables have the rows of, by names of the ledger and of the file.
        now: the ledgers.
    """
    for name, table in LEDGERS.items():
        old, new = before.get(name, {}), now.get(name)
        if new and old == new.parts:
            continue
        path = ledger_path(dataset, table)
        changed = _changed_plates(dataset, name, old, new) if new else None
        where, parts = "", None
        if changed is not None and new:
            connection.execute("CREATE OR REPLACE TEMP TABLE changed_plates (plate_id VARCHAR)")
            connection.execute("INSERT INTO changed_plates SELECT unnest(?)", [changed])
            where = "WHERE plate_id IN (FROM temp.changed_plates)"
            parts = [path / one if path.is_dir() else path for one in new.parts if old.get(one) != new.parts[one]]
        connection.execute(f"DELETE FROM {identifier(name)} {where}")
        if parts is None or parts:
            connection.execute(f"INSERT INTO {identifier(name)} SELECT * FROM {rows_of(path, parts)} {where}")


def _changed_plates(dataset: Dataset, name: str, old: Mapping[str, str], new: LedgerState) -> list[str] | None:
    """The plates whose rows may differ; None for all."""
    if not old:
        return None
    changed: list[str] = []
    gone = set[str]()
    for part in old.keys() | new.parts.keys():
        if old.get(part) == new.parts.get(part):
            continue
        before, now = read_made_of(dataset, name, part) if part in old else None, new.made_of.get(part)
        if (part in old and before is None) or (part in new.parts and now is None):
            return None
        if before and now:
            if before.context != now.context:
                return None
            changed += differing_plates(before, now)
        elif now:
            changed += now.signatures
        elif before:
            gone |= before.signatures.keys()
    count = sum(len(one.signatures) for one in new.made_of.values())
    return [*changed, *gone] if len(changed) + len(gone) <= MOST_CHANGED * max(count, 1) else None
