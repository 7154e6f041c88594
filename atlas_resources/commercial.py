"""Which rows may be used commercially, and why the others may not: the one rule, for the catalogue and the export.

A row may go when the licence it was sealed with says yes, and its instrument's present spec says nothing else: a
licence that was put right later holds for old rows too. The scans' own licences are in `plates`, and not judged.
"""

from typing import TYPE_CHECKING

import polars as pl

from atlas_resources.result_tables import INSTRUMENT_TABLES
from atlas_resources.tables import IS_CURRENT

if TYPE_CHECKING:
    import duckdb

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


def create_commercial_views(connection: "duckdb.DuckDBPyConnection") -> None:
    """`commercial_<table>` for each table of results, `rows_for_commercial_use` and what is left out of it."""
    counts = []
    for name in TABLES:
        connection.execute(f"CREATE VIEW commercial_{name} AS SELECT * FROM {name} WHERE {RULE}")
        connection.execute(f"COMMENT ON VIEW commercial_{name} IS 'The rows of {name} that may be used commercially.'")
        counts.append(f"""
            SELECT '{name}' AS table_name, instrument, plate_id, run_id, licence, commercial_use,
                   count(*) AS row_count, {IS_CURRENT.name}, {RULE} AS may_go
            FROM {name} GROUP BY ALL
        """)
    union = " UNION ALL ".join(counts)
    views = {
        "rows_for_commercial_use": (
            f"SELECT * EXCLUDE (may_go) FROM ({union}) WHERE may_go",
            "Results that may be used commercially: rows per table, instrument, plate and run.",
        ),
        "rows_not_for_commercial_use": (
            f"SELECT table_name, instrument, licence, commercial_use, sum(row_count)::BIGINT AS row_count "
            f"FROM ({union}) WHERE NOT may_go GROUP BY ALL",
            "What rows_for_commercial_use leaves out, by table and instrument, with the licence of the rows.",
        ),
    }
    for name, (query, meaning) in views.items():
        connection.execute(f"CREATE VIEW {name} AS {query}")
        connection.execute(f"COMMENT ON VIEW {name} IS '{meaning}'")
