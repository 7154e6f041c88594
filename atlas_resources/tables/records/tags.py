"""The table of what people judge of plates and of machines' rows."""

import polars as pl

from atlas_resources.tables.table import PLATE_ID, Column, Table

TAGS = Table(
    "tags",
    "One row per judgement of a person in tags/: a tag of a plate or row, or a machine's row accepted, rejected or "
    "corrected. Made by people: it stands beside the machine's row, which it never changes.",
    (
        Column("number", pl.Int32, "Number of the entry in tags/, from 1."),
        Column("position", pl.Int32, "Place of the judgement in its entry, from 1."),
        PLATE_ID,
        Column(
            "target_table",
            pl.String,
            "Table of the row: segments, texts, detections, plate_spaces (clusters); or plates.",
        ),
        Column("run_id", pl.String, "Sealed run of the row; null of a plate, and of clusters of colour."),
        Column("row_id", pl.String, "segment_id, text_id or detection_id; null of plates and clusters."),
        Column("space", pl.String, "Space of the cluster; null of others."),
        Column("cluster", pl.Int64, "Number of the cluster that the plate is in; null of others."),
        Column("inputs_sha256", pl.String, "What the clusters were made of, as in plate_spaces; null of others."),
        Column("judgement", pl.String, "tag, accepted, rejected, corrected, or retracted: taken back by the person."),
        Column("tag", pl.String, "The tag, as written by the person, or the tag taken back; null of others."),
        Column("corrected", pl.String, "What is right by the person: text, class, label, cluster or none; else null."),
        Column("note", pl.String, "More, in the person's words."),
        Column("person", pl.String, "Who judges."),
        Column("person_from", pl.String, "Where the name is from: option (--by), git or system."),
        Column("entered_at", pl.Datetime("us", "UTC"), "Time of the entry, UTC."),
        Column("is_latest", pl.Boolean, "Whether it is the person's newest word on its target, and not taken back."),
        Column(
            "is_current",
            pl.Boolean,
            "Whether it is the latest, and its target is current: the plate is not withdrawn, the row's run is the "
            "current one, the cluster is of the present vectors.",
        ),
        Column("file_sha256", pl.String, "sha256 of the entry's file."),
    ),
    ("number", "position"),
)
TARGET_IDS = {"segments": "segment_id", "texts": "text_id", "detections": "detection_id"}
"""The column that `row_id` names a row by, in each table whose rows are judged."""
