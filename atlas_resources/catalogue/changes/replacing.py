"""Replaces rows of a catalogue's tables that differ from those of their ledgers, by what each says it is made of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from atlas_resources.catalogue._view import identifier, literal
from atlas_resources.catalogue.changes.built_from import LedgerState
from atlas_resources.ledgers.growth.growing import MadeOf, stale_plates
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
    before: Mapping[str, LedgerState],
    now: Mapping[str, LedgerState],
) -> None:
    """Brings the tables of an attached catalogue up to date, in the connection's default database.

    Args:
        connection: a connection.
        dataset: the dataset.
        before: the ledgers that the tables have the rows of.
        now: the ledgers.
    """
    for name, table in LEDGERS.items():
        old, new = before.get(name), now.get(name)
        if old and new and old.sha256 == new.sha256:
            continue
        rows = f"read_parquet({literal(str(ledger_path(dataset, table)))})"
        changed = _changed_plates(old, new)
        where = ""
        if changed is not None:
            connection.execute("CREATE OR REPLACE TEMP TABLE changed_plates (plate_id VARCHAR)")
            connection.execute("INSERT INTO changed_plates SELECT unnest(?)", [changed])
            where = "WHERE plate_id IN (FROM temp.changed_plates)"
        connection.execute(f"DELETE FROM {identifier(name)} {where}")
        connection.execute(f"INSERT INTO {identifier(name)} SELECT * FROM {rows} {where}")


def _changed_plates(old: LedgerState | None, new: LedgerState | None) -> list[str] | None:
    """The plates whose rows may differ; None for all."""
    if not (old and new and old.made_of and new.made_of):
        return None
    before, now = MadeOf.parse(old.made_of), MadeOf.parse(new.made_of)
    if before.context != now.context:
        return None
    changed = [*stale_plates(before, now), *(before.signatures.keys() - now.signatures.keys())]
    return changed if len(changed) <= MOST_CHANGED * max(len(now.signatures), 1) else None
