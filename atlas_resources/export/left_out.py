"""What an export for commercial use leaves out by the terms of models, and why."""

from dataclasses import dataclass

import polars as pl

from atlas_resources.ledgers.terms import why_not


@dataclass(frozen=True)
class LeftOut:
    """Rows of an instrument that were left out of a table, and why."""

    table: str
    instrument: str
    rows: int
    reason: str


def count_left_out(name: str, rows: pl.DataFrame, models: pl.DataFrame) -> list[LeftOut]:
    """Counts withheld rows of plates that may be used, by instrument and terms.

    Args:
        name: of the table.
        rows: the rows that are withheld.
        models: the ledger, with the present terms of each instrument.
    """
    present = {row["instrument"]: row for row in models.select("instrument", "licence", "commercial_use").to_dicts()}
    groups = rows.group_by("instrument", "licence", "commercial_use").len().sort("instrument", "licence")
    found = []
    for instrument, licence, terms, count in groups.iter_rows():
        now = present.get(instrument, {})
        reason = why_not(licence, terms, now.get("licence"), now.get("commercial_use"))
        found.append(LeftOut(name, instrument, count, reason))
    return found
