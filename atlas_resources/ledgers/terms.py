"""Which rows may be used commercially, and why the others may not.

A row may be used when the licence it was sealed with allows it and its instrument's present spec does not say
otherwise: a licence that was corrected later also holds for rows sealed before. The scans' own licences, in `plates`,
are not judged.
"""

import polars as pl

from atlas_resources.tables.results import INSTRUMENT_TABLES

TABLES = tuple(table.name for table in INSTRUMENT_TABLES.values())

_IS_ALLOWED = "coalesce(commercial_use, 'unknown') = 'yes'"
_WITHHELD = f"SELECT instrument FROM models WHERE NOT {_IS_ALLOWED} AND instrument IS NOT NULL"
RULE = f"({_IS_ALLOWED} AND instrument IS NOT NULL AND instrument NOT IN ({_WITHHELD}))"
"""True of a row that may be used commercially, else false: SQL that DuckDB and Polars run, next to the table `models`.

Never null, so that each row is either inside or outside. What is null is unknown, and so not for commercial use.
"""


def allowed_rows(rows: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """The rows that may be used commercially, by the ledger `models`."""
    return _where(RULE, rows, models)


def withheld_rows(rows: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """The rows that may not be used commercially, by the ledger `models`."""
    return _where(f"NOT {RULE}", rows, models)


def _where(condition: str, rows: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    tables = {"results": rows, "models": models}
    return pl.SQLContext(tables).execute(f"SELECT * FROM results WHERE {condition}", eager=True)


def why_not(row_licence: str, row_terms: str, present_licence: str | None, present_terms: str | None) -> str:
    """The reason in words, from the terms a row was sealed with and those that its spec declares now."""
    licence, terms = (row_licence, row_terms) if row_terms != "yes" else (present_licence, present_terms or "unknown")
    words = {"no": "forbids commercial use", "unknown": "is not known to allow commercial use"}[terms]
    when = "" if row_terms != "yes" else ", as its spec says now"
    return f"its licence, {licence or 'not stated'}, {words}{when}"
