"""The table of completeness: the state of every plate with every asset."""

import polars as pl

from atlas_resources.tables.table import PLATE_ID, Column, Table

COMPLETENESS = Table(
    "completeness",
    "One row per registered plate and instrument, and per plate for the groundwork: whether it is done, and why not.",
    (
        PLATE_ID,
        Column("instrument", pl.String, "Key of the admitted instrument, or groundwork."),
        Column("asset", pl.String, "Asset in the Dagster UI; plate/input_image stands for both of the groundwork."),
        Column("is_active", pl.Boolean, "Whether automation measures it: it is in the roster, or the groundwork."),
        Column(
            "state",
            pl.String,
            "done; failed (is tried again); refused (given up: failed too often, or its own files cannot be read); "
            "stale (complete by another version or source); missing (without a result, and not tried by the present "
            "version); waiting (for another asset); withdrawn (it is not measured).",
        ),
        Column(
            "reason",
            pl.String,
            "The last failure, what cannot be read, what it waits for, or why it is withdrawn; null otherwise.",
        ),
        Column("attempts", pl.Int32, "Failures of the present version on the present source."),
        Column(
            "run_id",
            pl.String,
            "Sealed run that the state comes from: the result, or the last failure. Null without one, and for the "
            "groundwork, which has no runs.",
        ),
        Column("since", pl.Datetime("us", "UTC"), "When that run was sealed, or the groundwork was made or failed."),
        Column(
            "what_changed",
            pl.String,
            "What of the newest result is not of the present version and source, as it was -> as it is; null where "
            "the plate is done or has no result. Parameters are read from reports/<run_id>/config.json.",
        ),
    ),
    ("instrument", "plate_id"),
)
