"""The table of withdrawals and restorations, and the column that names the entry in other tables."""

import polars as pl

from atlas_resources.tables.table import Column, Table

WITHDRAWN_BY = Column(
    "withdrawn_by",
    pl.Int32,
    "Number of the entry in withdrawals that withdraws it, directly or through what it was made from; null for others.",
)
WITHDRAWALS = Table(
    "withdrawals",
    "One row per entry of withdrawals/: withdrawn for rights or error, or restored. Entries are never edited.",
    (
        Column("number", pl.Int32, "1 for the first entry, then 2, ..."),
        Column("kind", pl.String, "withdraw or restore."),
        Column("target_kind", pl.String, "model, weights, run, plate or source: what is withdrawn."),
        Column("target", pl.String, "Key of the instrument, sha256 of the weights or source, or id of run or plate."),
        Column("category", pl.String, "rights, error or other."),
        Column("reason", pl.String, "Why, in the person's words."),
        Column("person", pl.String, "Who decided it."),
        Column("person_from", pl.String, "Where the name is from: option (--by), git or system."),
        Column("entered_at", pl.Datetime("us", "UTC"), "Time of the entry, UTC."),
        Column("restores", pl.Int32, "Entry that this one ends; null unless the kind is restore."),
        Column("restored_by", pl.Int32, "Entry that ended this one; null while it is in force."),
        Column("is_in_force", pl.Boolean, "Whether it withdraws something at present."),
        Column("previous_sha256", pl.String, "sha256 of the file of the entry before; null for the first."),
        Column("file_sha256", pl.String, "sha256 of the entry's file."),
    ),
    ("number",),
)
