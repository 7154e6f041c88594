"""What follows from boxes by arithmetic: counts, and how two of them lie to one another. Views of the catalogue.

The thresholds are declared here and said in the views' comments; nothing of it is stored.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

OVERLAP_RATIO = 0.1
"""Two boxes overlap when they share this much of the smaller one's area, at least."""
COLUMN_RATIO = 0.5
"""One box is above another when it ends where the other begins or higher, and they share this much of the narrower
one's width, at least."""
NEAR_RATIO = 0.05
"""Two boxes that do not overlap are near when the gap between their edges is at most this much of the plate's
diagonal."""

COUNTS = """
    CREATE VIEW detection_counts AS
    SELECT plate_id, instrument, label, count(*) AS box_count, max(score) AS best_score
    FROM detections WHERE is_current GROUP BY ALL
"""
COUNTS_MEANING = (
    "Current boxes per plate, instrument and label. Weak signals: a count is of boxes above the instrument's "
    "threshold, not of things; one thing may have several boxes."
)
RELATIONS = f"""
    CREATE VIEW detection_relations AS
    WITH boxes AS (
        SELECT detections.*, sqrt(plates.width ** 2 + plates.height ** 2) AS diagonal_px
        FROM detections JOIN plates USING (plate_id) WHERE is_current
    ), pairs AS (
        SELECT a.plate_id, a.instrument, a.detection_id, a.label, a.score,
               b.detection_id AS other_detection_id, b.label AS other_label, b.score AS other_score,
               greatest(0, least(a.x_max, b.x_max) - greatest(a.x_min, b.x_min)) AS shared_width,
               greatest(0, least(a.y_max, b.y_max) - greatest(a.y_min, b.y_min)) AS shared_height,
               least(a.x_max - a.x_min, b.x_max - b.x_min) AS narrower_width,
               least((a.x_max - a.x_min) * (a.y_max - a.y_min), (b.x_max - b.x_min) * (b.y_max - b.y_min)) AS smaller,
               sqrt(greatest(0, a.x_min - b.x_max, b.x_min - a.x_max) ** 2
                    + greatest(0, a.y_min - b.y_max, b.y_min - a.y_max) ** 2) / a.diagonal_px AS gap_ratio,
               a.y_max <= b.y_min AS is_higher
        FROM boxes AS a
        JOIN boxes AS b ON b.plate_id = a.plate_id AND b.instrument = a.instrument AND b.detection_id <> a.detection_id
    ), related AS (
        SELECT *, shared_width * shared_height / smaller AS overlap_ratio FROM pairs
    )
    SELECT plate_id, instrument, detection_id, label, unnest(list_filter([
               CASE WHEN is_higher AND shared_width >= {COLUMN_RATIO} * narrower_width THEN 'above' END,
               CASE WHEN overlap_ratio >= {OVERLAP_RATIO} THEN 'overlaps' END,
               CASE WHEN overlap_ratio < {OVERLAP_RATIO} AND gap_ratio <= {NEAR_RATIO} THEN 'near' END
           ], lambda relation: relation IS NOT NULL)) AS relation,
           other_detection_id, other_label, least(score, other_score) AS weaker_score, overlap_ratio, gap_ratio
    FROM related
"""
RELATIONS_MEANING = (
    "How two current boxes of one plate and instrument lie to one another, each pair in both orders: "
    f"above (ends where the other begins or higher, sharing {COLUMN_RATIO} of the narrower width), "
    f"overlaps (sharing {OVERLAP_RATIO} of the smaller area), "
    f"near (not overlapping, gap of {NEAR_RATIO} of the plate's diagonal at most). "
    "Of boxes on the page, not of things in the scene; weaker_score is the lower of the two boxes' scores."
)


def create_detection_views(connection: "duckdb.DuckDBPyConnection") -> None:
    """`detection_counts` and `detection_relations`, over `detections` and `plates`."""
    for name, query, meaning in (
        ("detection_counts", COUNTS, COUNTS_MEANING),
        ("detection_relations", RELATIONS, RELATIONS_MEANING),
    ):
        connection.execute(query)
        quoted = meaning.replace("'", "''")
        connection.execute(f"COMMENT ON VIEW {name} IS '{quoted}'")
