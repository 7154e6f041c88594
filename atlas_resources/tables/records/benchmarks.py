"""The table of benchmarks."""

import polars as pl

from atlas_resources.tables.table import CODE_GIT_SHA, FINGERPRINT, INSTRUMENT, Column, Table

BENCHMARKS = Table(
    "benchmarks",
    "One row per benchmark of an instrument and number of plates at once, by `atlas models bench`: how fast it "
    "answered on the machine that is named. `stage_candidates` has the newest of each.",
    (
        INSTRUMENT,
        FINGERPRINT,
        Column("measured_at", pl.Datetime("us", "UTC"), "When the last call had ended, UTC."),
        Column("concurrency", pl.Int32, "Plates that were measured at the same time."),
        Column("images_per_second", pl.Float64, "Measured plates over the seconds; null if it was not measured."),
        Column("image_count", pl.Int32, "Plates that were measured."),
        Column("failure_count", pl.Int32, "Plates that could not be measured; they take time and do not count."),
        Column("seconds", pl.Float64, "From the first call to the end of the last; null if it was not measured."),
        Column("reason", pl.String, "Why it was not measured, or the first failure; null otherwise."),
        Column("most_at_once", pl.Int32, "Plates that the loaded model says it can be asked about at once."),
        Column("load_seconds", pl.Float64, "Loading the model, or connecting to its server, seconds."),
        Column("cold_seconds", pl.Float64, "The first call, which is in no figure, seconds."),
        Column("plate_count", pl.Int32, "Different plates that were measured, over and over."),
        Column("device", pl.String, "Class of the device, cpu or cuda."),
        Column("accelerator", pl.String, "Name of the CUDA device; null without one in this process."),
        Column("cpu", pl.String, "Model of the processor; null if the system does not state it."),
        CODE_GIT_SHA,
        Column("code_is_dirty", pl.Boolean, "Whether that code differed from the commit."),
        Column("file", pl.String, "File of the benchmark, relative to the dataset's root."),
    ),
    ("instrument", "measured_at", "concurrency", "file"),
)
