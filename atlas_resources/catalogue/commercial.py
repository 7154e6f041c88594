"""Views of the rows that may be used commercially, and of those that may not."""

from collections.abc import Iterator

from atlas_resources.catalogue._view import View, literal, meanings
from atlas_resources.ledgers.terms import OF_ALLOWED_PLATE, PLATE_RULE, RULE, TABLES
from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT

IS_WITHDRAWN = """EXISTS (
    SELECT 1 FROM runs AS origin
    WHERE origin.run_id = results.run_id AND origin.plate_id = results.plate_id AND origin.withdrawn_by IS NOT NULL
)"""
IS_ALLOWED = f"({RULE} AND NOT {IS_WITHDRAWN})"
"""True of a row of a table named `results` that may be used commercially and is not withdrawn, else false."""


CAUSE = f"""CASE WHEN {IS_WITHDRAWN} THEN 'withdrawn' WHEN NOT {OF_ALLOWED_PLATE} THEN 'plate'
    WHEN NOT {RULE} THEN 'instrument' END"""
"""Why a row of a table named `results` may not be used commercially; null if it may."""


def commercial_views() -> Iterator[View]:
    """`commercial_<table>` for each table of results, and two views that count the rows inside and outside them."""
    for name in TABLES:
        meaning = f"The rows of {name} that may be used commercially and are not withdrawn."
        yield View(
            f"commercial_{name}",
            f"SELECT * FROM {name} AS results WHERE {IS_ALLOWED}",
            meaning,
            meanings(LEDGERS[name]),
        )
    counts = " UNION ALL ".join(
        f"""
        SELECT {literal(name)} AS table_name, instrument, plate_id, run_id, licence, commercial_use,
               cause, count(*) AS row_count, {IS_CURRENT.name}
        FROM (SELECT *, {CAUSE} AS cause FROM {name} AS results) GROUP BY ALL
        """
        for name in TABLES
    )
    columns = meanings(
        *INSTRUMENT_TABLES.values(),
        table_name="Table that the rows are in.",
        row_count="Number of rows.",
        cause="Why: withdrawn, plate (its licence or a no-AI tag, see plates_not_for_commercial_use) or instrument.",
    )
    yield View(
        "rows_for_commercial_use",
        f"SELECT * EXCLUDE (cause) FROM ({counts}) WHERE cause IS NULL",
        "Number of results that may be used commercially, by table, instrument, plate and run.",
        columns,
    )
    yield View(
        "rows_not_for_commercial_use",
        f"SELECT table_name, instrument, licence, commercial_use, cause, sum(row_count)::BIGINT AS row_count "
        f"FROM ({counts}) WHERE cause IS NOT NULL GROUP BY ALL",
        "Number of results that rows_for_commercial_use leaves out, withdrawn ones too, by table and instrument, with "
        "their licence.",
        columns,
    )
    yield View(
        "plates_not_for_commercial_use",
        f"SELECT plate_id, title, licence, rights_uri, commercial_use, no_ai FROM plates WHERE NOT {PLATE_RULE}",
        "Plates whose scans may not be used commercially: the licence forbids it or does not say so, none is stated, "
        "or the plate is tagged no-AI. No row of them is in a view for commercial use.",
        meanings(LEDGERS["plates"]),
    )
