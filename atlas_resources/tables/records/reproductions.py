"""The table of reproduced runs."""

import polars as pl

from atlas_resources.tables.table import CODE_GIT_SHA, FINGERPRINT, INSTRUMENT, PLATE_ID, RUN_ID, Column, Table

DIFFERENCES = pl.List(
    pl.Struct(
        {"column": pl.String, "measure": pl.String, "largest": pl.Float64, "tolerance": pl.Float64, "row": pl.String}
    )
)
CHANGES = pl.List(pl.Struct({"name": pl.String, "sealed": pl.String, "present": pl.String}))

REPRODUCTIONS = Table(
    "reproductions",
    "One row per plate and repetition of a sealed run: whether the run's result came out again. "
    "`latest_reproductions` has the last of each.",
    (
        Column(RUN_ID.name, pl.String, "Sealed run that was repeated."),
        PLATE_ID,
        Column("reproduced_at", pl.Datetime("us", "UTC"), "When the run's repetition ended, UTC."),
        INSTRUMENT,
        Column("role", pl.String, "Role of the instrument."),
        FINGERPRINT,
        Column(
            "verdict",
            pl.String,
            "identical: equal rows. within_tolerance: every difference is within the tolerance of the numeric mode. "
            "different. not_repeatable: what the run needs is missing, or this code has another fingerprint.",
        ),
        Column("reason", pl.String, "Why it is different or not repeatable; null otherwise."),
        Column("has_same_bytes", pl.Boolean, "Whether the repetition has the digest of the sealed Parquet file."),
        Column("sealed_row_count", pl.Int64, "Rows in the sealed file; null if nothing was compared."),
        Column("repeated_row_count", pl.Int64, "Rows of the repetition; null if nothing was compared."),
        Column("cosine_min", pl.Float64, "Smallest cosine of a sealed and a repeated vector or row of logits, -1..1."),
        Column(
            "differences",
            DIFFERENCES,
            "Columns that differ: the measure (relative, score, box_px, pixel_share, delta_e, field_ratio as the "
            "tolerance of that name; unequal_rows is a count), the largest difference, its tolerance, and the key of "
            "its row.",
        ),
        Column(
            "changes",
            CHANGES,
            "What is other than the run recorded: packages, Python, processor, threads, accelerator, code.",
        ),
        Column(CODE_GIT_SHA.name, pl.String, "Commit of the code that repeated the run."),
        Column("code_is_dirty", pl.Boolean, "Whether that code differed from the commit."),
        Column("file", pl.String, "File of the repetition, relative to the dataset's root."),
    ),
    ("run_id", "plate_id", "reproduced_at", "file"),
)
