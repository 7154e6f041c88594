"""Views of the rows that may be used commercially, and of those that may not."""

from typing import TYPE_CHECKING

from atlas_resources.tables.table import IS_CURRENT

if TYPE_CHECKING:
    import duckdb
from atlas_resources.ledgers.terms import RULE, TABLES


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
