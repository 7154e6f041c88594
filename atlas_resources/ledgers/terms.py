"""Which rows may be used commercially, and why the others may not.

A row may be used when the licence it was sealed with allows it, its instrument's present spec does not say otherwise,
and the present licence of its plate's scan allows it, without a no-AI tag: a licence that was corrected later also
holds for rows sealed before. What is not stated is unknown, and so not for commercial use.
"""

import polars as pl

from atlas_resources.tables.results import INSTRUMENT_TABLES

TABLES = tuple(table.name for table in INSTRUMENT_TABLES.values())

_IS_ALLOWED = "coalesce(commercial_use, 'unknown') = 'yes'"
_WITHHELD = f"SELECT instrument FROM models WHERE NOT {_IS_ALLOWED} AND instrument IS NOT NULL"
PLATE_RULE = f"({_IS_ALLOWED} AND no_ai IS NULL)"
"""True of a row of `plates` whose scan may be used commercially, else false. Never null."""
_PLATES = f"SELECT plate_id FROM plates WHERE {PLATE_RULE} AND plate_id IS NOT NULL"
OF_ALLOWED_PLATE = f"(plate_id IS NOT NULL AND plate_id IN ({_PLATES}))"
"""True of a row whose plate's scan may be used commercially, else false, likewise."""
RULE = f"({_IS_ALLOWED} AND instrument IS NOT NULL AND instrument NOT IN ({_WITHHELD}) AND {OF_ALLOWED_PLATE})"
"""True of a row that may be used commercially, else false: SQL for DuckDB and Polars, next to `models` and `plates`.

Never null, so that each row is either inside or outside.
"""


def allowed_rows(rows: pl.DataFrame, models: pl.DataFrame, plates: pl.DataFrame) -> pl.DataFrame:
    """The rows that may be used commercially, by the ledgers `models` and `plates`."""
    return _where(RULE, rows, models, plates)


def withheld_rows(rows: pl.DataFrame, models: pl.DataFrame, plates: pl.DataFrame) -> pl.DataFrame:
    """The rows that may not be used commercially, by the ledgers `models` and `plates`."""
    return _where(f"NOT {RULE}", rows, models, plates)


def withheld_plates(plates: pl.DataFrame) -> pl.DataFrame:
    """The rows of `plates` whose scans may not be used commercially."""
    return pl.SQLContext({"plates": plates}).execute(f"SELECT * FROM plates WHERE NOT {PLATE_RULE}", eager=True)


def _where(condition: str, rows: pl.DataFrame, models: pl.DataFrame, plates: pl.DataFrame) -> pl.DataFrame:
    tables = {"results": rows, "models": models, "plates": plates}
    return pl.SQLContext(tables).execute(f"SELECT * FROM results WHERE {condition}", eager=True)


def why_not(row_licence: str, row_terms: str, present_licence: str | None, present_terms: str | None) -> str:
    """The reason in words, from the terms a row was sealed with and those that its spec declares now."""
    licence, terms = (row_licence, row_terms) if row_terms != "yes" else (present_licence, present_terms or "unknown")
    words = {"no": "forbids commercial use", "unknown": "is not known to allow commercial use"}[terms]
    when = "" if row_terms != "yes" else ", as its spec says now"
    return f"its licence, {licence or 'not stated'}, {words}{when}"


def why_not_plate(licence: str | None, terms: str, no_ai: str | None) -> str:
    """Why a plate's scan may not be used commercially, in words.

    Args:
        licence: as the index states it, or its URI; None if none is stated.
        terms: what the licence says, yes, no or unknown.
        no_ai: the column and value that reserve it; None if none does.
    """
    if no_ai:
        return f"tagged no-AI ({no_ai})"
    if not licence:
        return "its index states no licence, and what is not stated is not for commercial use"
    words = "forbids commercial use" if terms == "no" else "is not known to allow commercial use"
    return f"its licence, {licence}, {words}"
