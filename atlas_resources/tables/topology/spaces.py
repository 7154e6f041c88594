"""Tables of single spaces: the graph of nearest neighbours, the shape of each space, and each plate's place in it."""

import polars as pl

from atlas_resources.tables.table import PLATE_ID, Column, Table

SPACE = Column(
    "space", pl.String, "Key of the active embedding instrument whose whole-plate vectors it is, or colour_histogram."
)
INPUTS_SHA256 = Column(
    "inputs_sha256",
    pl.String,
    "sha256 over the plates, the sealed runs or groundwork files that the vectors are of, and the version of the code.",
)

NEIGHBOURS = Table(
    "neighbours",
    "The 20 nearest plates of each plate in each space, exact, by cosine.",
    (
        SPACE,
        PLATE_ID,
        Column("neighbour_id", pl.String, "Id of the neighbour."),
        Column("rank", pl.Int32, "1 for the nearest."),
        Column("cosine", pl.Float64, "Cosine of the two vectors, -1..1; of colour, of the roots of Lab histograms."),
        Column("is_mutual", pl.Boolean, "Whether the plate is among the neighbour's own neighbours."),
        INPUTS_SHA256,
    ),
    ("space", "plate_id", "rank"),
)
SPACES = Table(
    "spaces",
    "One row per space: what it is made of, and its shape.",
    (
        SPACE,
        Column("kind", pl.String, "embedding or colour. Only embeddings are part of the ensemble."),
        Column("fingerprint", pl.String, "Fingerprint of the instrument; null of colour."),
        Column("plate_count", pl.Int64, "Plates with a current vector."),
        Column("vector_dim", pl.Int64, "Length of its vectors."),
        Column("mean_cosine", pl.Float64, "Mean cosine of two plates: near 1, vectors share one direction."),
        Column(
            "intrinsic_dimension",
            pl.Float64,
            "Directions in which plates spread around a plate, by their two nearest neighbours (Facco et al. 2017); "
            "null with fewer than 12 plates.",
        ),
        Column("cluster_count", pl.Int64, "Clusters by HDBSCAN over 50 principal components."),
        Column("clustered_ratio", pl.Float64, "Share of the plates that are in a cluster, 0..1."),
        Column(
            "cluster_stability",
            pl.Float64,
            "Mean adjusted Rand index between these clusters and those of 80 % of the plates, 20 times (5 times of "
            "more than 2,000 plates); about 0 by chance, 1 for the same. Null without clusters.",
        ),
        Column("cluster_stability_low", pl.Float64, "Smallest of them."),
        Column("cluster_stability_high", pl.Float64, "Largest of them."),
        Column("outlier_count", pl.Int64, "Plates with an outlier factor above 1.5."),
        Column("licence", pl.String, "SPDX id of the instrument's licence; null of colour."),
        Column("commercial_use", pl.String, "yes, no or unknown, as of the instrument; yes of colour."),
        INPUTS_SHA256,
    ),
    ("space",),
)
PLATE_SPACES = Table(
    "plate_spaces",
    "One row per plate and space: how alone the plate is there, and its cluster.",
    (
        SPACE,
        PLATE_ID,
        Column("run_id", pl.String, "Sealed run of the vector; null of colour."),
        Column("nearest_cosine", pl.Float64, "Cosine to the nearest other plate; null if there is none."),
        Column("mean_cosine", pl.Float64, "Mean cosine to all other plates."),
        Column("std_cosine", pl.Float64, "Population standard deviation of these cosines."),
        Column(
            "uniqueness",
            pl.Float64,
            "Share of the plates whose nearest neighbour is nearer than this plate's, 0..1: 1 for the most unlike.",
        ),
        Column(
            "outlier_factor",
            pl.Float64,
            "Local outlier factor (Breunig et al. 2000) over 20 neighbours, at most a quarter of the plates: about 1 "
            "within a group, larger alone.",
        ),
        Column("is_outlier", pl.Boolean, "Whether the factor is above 1.5."),
        Column("cluster", pl.Int64, "Its cluster, from 0, the largest first; null in none."),
        Column("cluster_probability", pl.Float64, "How firmly it belongs to it, 0..1; 0 in none."),
        Column(
            "is_exemplar", pl.Boolean, "Whether it is the plate of its cluster that is nearest to all others of it."
        ),
        INPUTS_SHA256,
    ),
    ("space", "plate_id"),
)
