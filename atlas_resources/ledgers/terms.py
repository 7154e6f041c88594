"""Which rows may be used commercially, and why the others may not: the one rule, for the catalogue and the export.

A row may go when the licence it was sealed with says yes, and its instrument's present spec says nothing else: a
licence that was put right later holds for old rows too. The scans' own licences are in `plates`, and not judged.
"""

from typing import TYPE_CHECKING

import polars as pl

from atlas_resources.tables.results import INSTRUMENT_TABLES

if TYPE_CHECKING:
    pass


TABLES = tuple(table.name for table in INSTRUMENT_TABLES.values())


RULE = """
    commercial_use = 'yes'
    AND instrument NOT IN (SELECT instrument FROM models WHERE coalesce(commercial_use, 'unknown') <> 'yes')
"""


def may_go(models: pl.DataFrame) -> pl.Expr:
    """True for the rows that may be used commercially, by the ledger `models`."""
    withheld = models.filter(pl.col("commercial_use").fill_null("unknown") != "yes")["instrument"]
    return (pl.col("commercial_use") == "yes") & ~pl.col("instrument").is_in(withheld.implode())


def why_not(row_licence: str, row_terms: str, present_licence: str | None, present_terms: str | None) -> str:
    """The reason in words, from the terms a row was sealed with and those that its spec declares now."""
    licence, terms = (row_licence, row_terms) if row_terms != "yes" else (present_licence, present_terms or "unknown")
    words = {"no": "forbids commercial use", "unknown": "is not known to allow commercial use"}[terms]
    when = "" if row_terms != "yes" else ", as its spec says now"
    return f"its licence, {licence or 'not stated'}, {words}{when}"
