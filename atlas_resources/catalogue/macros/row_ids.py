"""How a row of a result is named within its plate and instrument, in SQL."""

from atlas_resources.catalogue._view import literal
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import Table

_OTHER_IDS = {"embeddings": "coalesce(segment_id, tile_id, scope)", "probes": "label_id"}
"""SQL of the id of a row, where it is not the last of the columns that the table is sorted by."""
_PROMPT = "prompt_sha256"


def row_id(table: Table) -> str:
    """SQL of the id of a row of a table: a segment, tile, label, box, or `plate` for the vector of a whole plate."""
    return _OTHER_IDS.get(table.name, table.order_by[-1])


def _rows(table: Table) -> str:
    prompt = (
        "prompt_set, prompt_version, prompt_id, prompt_sha256" if _PROMPT in table.schema else "NULL, NULL, NULL, NULL"
    )
    return f"SELECT {literal(table.name)}, plate_id, run_id, {row_id(table)}, {prompt} FROM {table.name}"


RESULT_ROWS = (
    "(SELECT NULL::VARCHAR AS table_name, NULL::VARCHAR AS plate_id, NULL::VARCHAR AS run_id, NULL::VARCHAR AS row_id, "
    "NULL::VARCHAR AS prompt_set, NULL::INTEGER AS prompt_version, NULL::VARCHAR AS prompt_id, "
    "NULL::VARCHAR AS prompt_sha256 WHERE false UNION ALL "
    + " UNION ALL ".join(_rows(table) for table in INSTRUMENT_TABLES.values())
    + ")"
)
"""SQL of every row of every result: its table, plate, run, id, and the prompt that it answers."""
TABLE_OF_ROLE = " ".join(
    (
        "CASE runs.role",
        *(f"WHEN {literal(role)} THEN {literal(table.name)}" for role, table in INSTRUMENT_TABLES.items()),
        "END",
    )
)
"""SQL of the table that the rows of a run are in, by the role in `runs`."""
