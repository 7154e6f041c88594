"""Views of detections: boxes counted, and how two boxes of a plate relate to each other."""

from atlas_resources.catalogue._view import View, meanings
from atlas_resources.tables.results import INSTRUMENT_TABLES

OVERLAP_RATIO = 0.1
"""Two boxes overlap when they share at least this much of the smaller one's area."""
COLUMN_RATIO = 0.5
"""One box is above another when it ends at or above the other's top edge and they share at least this much of the
narrower one's width."""
NEAR_RATIO = 0.05
"""Two boxes that do not overlap are near when the gap between their edges is at most this much of the plate's
diagonal."""

DETECTIONS = INSTRUMENT_TABLES["detection"]
COUNTS = View(
    "detection_counts",
    """
    SELECT plate_id, instrument, label, label_id, count(*) AS box_count, max(score) AS best_score
    FROM detections WHERE is_current GROUP BY ALL
    """,
    "Number of current boxes per plate, instrument and label with its id, since two classes may share a label. A weak "
    "signal: it counts boxes above the instrument's threshold, not things, and one thing may have several boxes.",
    meanings(
        DETECTIONS, box_count="Number of boxes with the label and its id.", best_score="The highest score among them."
    ),
)
RELATIONS = View(
    "detection_relations",
    f"""
    WITH boxes AS (
        SELECT detections.*, sqrt(plates.width ** 2 + plates.height ** 2) AS diagonal_px
        FROM detections JOIN plates USING (plate_id) WHERE detections.is_current
    ), pairs AS (
        SELECT a.plate_id, a.instrument, a.detection_id, a.label, a.label_id, a.score,
               b.detection_id AS other_detection_id, b.label AS other_label, b.label_id AS other_label_id,
               b.score AS other_score,
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
    SELECT plate_id, instrument, detection_id, label, label_id, unnest([kind FOR kind IN [
               CASE WHEN is_higher AND shared_width >= {COLUMN_RATIO} * narrower_width THEN 'above' END,
               CASE WHEN overlap_ratio >= {OVERLAP_RATIO} THEN 'overlaps' END,
               CASE WHEN overlap_ratio < {OVERLAP_RATIO} AND gap_ratio <= {NEAR_RATIO} THEN 'near' END
           ] IF kind IS NOT NULL]) AS relation,
           other_detection_id, other_label, other_label_id, least(score, other_score) AS weaker_score, overlap_ratio,
           gap_ratio
    FROM related
    """,
    "How two current boxes of one plate and instrument relate, each pair in both orders: "
    f"above (ends at or above the other's top edge, sharing at least {COLUMN_RATIO} of the narrower width), "
    f"overlaps (sharing at least {OVERLAP_RATIO} of the smaller area), "
    f"near (not overlapping, with a gap of at most {NEAR_RATIO} of the plate's diagonal). "
    "The relation is of boxes on the page, not of things in the scene.",
    meanings(
        DETECTIONS,
        relation="above, overlaps or near: how the box relates to the other one.",
        other_detection_id="The other box.",
        other_label="The detector's label of the other box.",
        other_label_id="Id of that label in the model's vocabulary; null with a prompt of words.",
        weaker_score="The lower of the two boxes' scores.",
        overlap_ratio="Area that the boxes share over the smaller one's area.",
        gap_ratio="Gap between the boxes' edges over the plate's diagonal; 0 where they touch or overlap.",
    ),
)
