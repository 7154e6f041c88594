"""Tables of several spaces together: agreement of two, disagreement about a plate, copies, what an instrument adds."""

import polars as pl

from atlas_resources.tables.table import PLATE_ID, Column, Table
from atlas_resources.tables.topology.spaces import INPUTS_SHA256

AGREEMENT = Table(
    "agreement",
    "One row per two spaces and measure: how alike they are, beside what chance gives. The measure to read first is "
    "neighbours_10, calibrated.",
    (
        Column("first_space", pl.String, "A space; the earlier by name."),
        Column("second_space", pl.String, "The other space."),
        Column(
            "measure",
            pl.String,
            "neighbours_5, _10, _20: mean share of common nearest neighbours. cka: debiased centred kernel alignment "
            "(Song et al. 2012). distance_ranks: Spearman's correlation of all distances. procrustes: how well a "
            "rotation lays one on the other, over 50 principal components.",
        ),
        Column("plate_count", pl.Int64, "Plates compared, in both spaces; by the last three measures at most 1,000."),
        Column("value", pl.Float64, "As measured; 1 for equal spaces."),
        Column("low", pl.Float64, "Lower end of the 95 % interval over plates."),
        Column("high", pl.Float64, "Upper end of it."),
        Column("interval", pl.String, "bootstrap (of plates) or half_samples (delete-half jackknife)."),
        Column("null_mean", pl.Float64, "Mean over 200 permutations of the plates of one space: what chance gives."),
        Column("critical", pl.Float64, "What chance exceeds with a probability of at most 5 %."),
        Column("p_value", pl.Float64, "Share of the permutations, the measured one included, that are as high."),
        Column(
            "calibrated",
            pl.Float64,
            "(value - critical) / (1 - critical), at least 0: 0 where chance gives as much, 1 for equal spaces "
            "(arXiv:2602.14486). Comparable between widths and numbers of plates, as values are not.",
        ),
        INPUTS_SHA256,
    ),
    ("first_space", "second_space", "measure"),
)
PLATE_AGREEMENT = Table(
    "plate_agreement",
    "One row per plate: whether the embedding spaces agree on what is near it, and whether it is alone in all of them.",
    (
        PLATE_ID,
        Column("space_count", pl.Int64, "Embedding spaces that the plate is in."),
        Column("shared_neighbours", pl.Float64, "Mean share of common neighbours of two spaces, k = 10; null in one."),
        Column("disagreement", pl.Float64, "1 - shared_neighbours."),
        Column("disagreement_rank", pl.Int64, "1 for the plate that the spaces disagree on most."),
        Column("least_alike_spaces", pl.List(pl.String), "The two spaces that share the fewest of its neighbours."),
        Column("outlier_spaces", pl.List(pl.String), "Spaces in which it is an outlier, colour included."),
        Column("is_outlier_everywhere", pl.Boolean, "Whether it is an outlier in every space that it is in."),
        Column("uniqueness", pl.Float64, "Mean over the embedding spaces of plate_spaces.uniqueness."),
        INPUTS_SHA256,
    ),
    ("plate_id",),
)
NEAR_DUPLICATES = Table(
    "near_duplicates",
    "One row per two plates that may be copies of each other, with the evidence.",
    (
        Column("first_plate", pl.String, "A plate; the earlier by id."),
        Column("second_plate", pl.String, "The other plate."),
        Column("group_number", pl.Int64, "Plates joined by a chain of pairs are one group, from 1."),
        Column("is_same_file", pl.Boolean, "Whether their sources have the same sha256."),
        Column("phash_distance", pl.Int64, "Bits of 64 in which the DCT hashes differ; a pair by hash has at most 10."),
        Column("dhash_distance", pl.Int64, "The same of the difference hashes; a pair by hash has at most 13."),
        Column("ahash_distance", pl.Int64, "The same of the average hashes."),
        Column(
            "is_by_vectors",
            pl.Boolean,
            "Whether each is the other's nearest in every embedding space, at a cosine of 0.95 or more.",
        ),
        Column(
            "cosines",
            pl.List(pl.Struct({"space": pl.String, "cosine": pl.Float64, "rank": pl.Int32})),
            "Cosine in each space where the second is among the first's 20 neighbours, and its rank there.",
        ),
    ),
    ("group_number", "first_plate", "second_plate"),
)
ADDITIONS = Table(
    "additions",
    "What each embedding instrument changes in the ensemble's neighbours, added in order and left out of all.",
    (
        Column("kind", pl.String, "in_order: added to those before it. left_out: removed from all."),
        Column("position", pl.Int64, "1 for the instrument whose current rows were sealed first; null if left out."),
        Column("instrument", pl.String, "Key of the instrument."),
        Column("plate_count", pl.Int64, "Plates that all instruments have measured."),
        Column(
            "changed_ratio", pl.Float64, "Mean share of the 10 fused neighbours that differ, 0..1; null of the first."
        ),
        Column("low", pl.Float64, "Lower end of the 95 % interval, by the bootstrap over plates."),
        Column("high", pl.Float64, "Upper end of it."),
        Column("seconds_per_plate", pl.Float64, "Median seconds in the model per plate; null if not kept."),
        Column("changed_ratio_per_second", pl.Float64, "changed_ratio by seconds_per_plate."),
        Column("is_below_threshold", pl.Boolean, "Whether the upper end is under 0.05: it changes almost nothing."),
        Column("is_stop", pl.Boolean, "Whether this and the addition before it are below: stop adding models."),
        INPUTS_SHA256,
    ),
    ("kind", "position", "instrument"),
)
