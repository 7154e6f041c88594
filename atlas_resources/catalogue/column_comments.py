"""What the columns of the catalogue's views mean: what their ledger says of them, or what is derived here."""

from typing import TYPE_CHECKING

from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.segment_sets import SEGMENT_SETS

if TYPE_CHECKING:
    import duckdb

LEDGERS_OF = {
    "commercial": (),  # that of its name
    "detection": ("detections",),
    "embeddings": ("embeddings",),
    "probes": ("probes",),
    "regions": ("kept_segments", "region_colours", "segments", "region_outlines", "plates"),
    "rows": ("embeddings",),
    "segment": (),  # its rows are those of `segment_sets`
}
"""Per family of views, by the word their names begin with, the ledgers they take columns from; the first that has a
column says what it means."""

DERIVED = {
    "detection": {
        "box_count": "Boxes of the label.",
        "best_score": "The highest score among them.",
        "relation": "above, overlaps or near: how the box lies to the other one.",
        "other_detection_id": "The other box.",
        "other_label": "What the detector calls the other box.",
        "weaker_score": "The lower of the two boxes' scores.",
        "overlap_ratio": "What the boxes share, as a share of the smaller one's area.",
        "gap_ratio": "Gap between the boxes' edges as a share of the plate's diagonal; 0 where they touch.",
    },
    "embeddings": {"vector_unit": "The vector divided by its Euclidean length, `l2_norm`."},
    "probes": {"rank": "Place by score among the plate's labels, 1 for the highest."},
    "rows": {"table_name": "Table that the rows are in.", "row_count": "Rows."},
    "segment": {"flag": "What to look at.", "why": "The rule that the set broke."},
}
"""Per family, the columns that no ledger has."""


def meanings_of(view: str) -> dict[str, str]:
    """What each column that a view may have means, by its name."""
    family = view.partition("_")[0]
    sources = (view.removeprefix("commercial_"),) if family == "commercial" else LEDGERS_OF[family]
    tables = [LEDGERS[name] for name in sources] if family != "segment" else [SEGMENT_SETS]
    meanings = {column.name: column.meaning for table in reversed(tables) for column in table.columns}
    return meanings | DERIVED.get(family, {})


def comment_view_columns(connection: "duckdb.DuckDBPyConnection") -> None:
    """Says in the catalogue what each column of each view means. Raises KeyError for a column without a meaning."""
    columns = connection.execute(
        "SELECT columns.table_name, columns.column_name FROM duckdb_columns() AS columns "
        "JOIN duckdb_views() AS views ON views.view_name = columns.table_name AND NOT views.internal"
    ).fetchall()
    connection.execute("BEGIN")  # a commit per comment would take longer than the comments
    for view, column in columns:
        meaning = meanings_of(view)[column].replace("'", "''")
        connection.execute(f"COMMENT ON COLUMN {view}.{column} IS '{meaning}'")
    connection.execute("COMMIT")
