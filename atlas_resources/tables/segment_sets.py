"""The table `segment_sets`: each set of segments compared with its plate's foreground."""

from typing import TYPE_CHECKING

import polars as pl

from atlas_resources.tables.table import Column, Table

if TYPE_CHECKING:
    pass


SEGMENT_SETS = Table(
    "segment_sets",
    "One row per current set of segments and foreground of its plate, or one without, where nothing tells it.",
    (
        Column("plate_id", pl.String, "Plate."),
        Column("instrument", pl.String, "Key of the segmenter."),
        Column("run_id", pl.String, "Sealed run of the set."),
        Column("segment_count", pl.Int64, "Segments in the set."),
        Column("largest_area_ratio", pl.Float64, "Share of the plate that the largest segment covers; 0 of none."),
        Column("median_area_ratio", pl.Float64, "Median share of the plate; 0 of none."),
        Column("covered_ratio", pl.Float64, "Share of the plate that any segment covers, 0..1."),
        Column("foreground_instrument", pl.String, "Instrument whose classes printed or salient are the foreground."),
        Column("foreground_run_id", pl.String, "Its sealed run."),
        Column("foreground_ratio", pl.Float64, "Share of the plate that is foreground, 0..1."),
        Column("foreground_segment_count", pl.Int64, "Segments that lie on the foreground by half of their pixels."),
        Column("foreground_covered_ratio", pl.Float64, "Share of the foreground that these cover, 0..1."),
        Column("largest_foreground_share", pl.Float64, "Share of the foreground that the greatest of them covers."),
    ),
    ("instrument", "plate_id", "foreground_instrument"),
)
