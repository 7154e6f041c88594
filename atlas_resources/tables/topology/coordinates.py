"""The table of coordinates: each space as points of a plane."""

import polars as pl

from atlas_resources.tables.table import PLATE_ID, Column, Table
from atlas_resources.tables.topology.spaces import SPACE

LEAST_PLATES_OF_UMAP = 30
"""Fewer plates are mostly each other's neighbours: their map would show chance, and compiling UMAP takes seconds."""

COORDINATES = Table(
    "coordinates",
    "One row per plate, space and method: where the plate is on a map of the space. A map is for looking, not for "
    f"measuring; `neighbours` has what is near. By umap only of spaces of at least {LEAST_PLATES_OF_UMAP} plates.",
    (
        SPACE,
        Column(
            "method",
            pl.String,
            "pca: the first two principal components, whose distances are those of the vectors as far as "
            "explained_ratio says. umap: neighbours of the space stay near, while distances, sizes of groups and axes "
            "mean nothing (McInnes et al., arXiv:1802.03426).",
        ),
        PLATE_ID,
        Column("x", pl.Float64, "First coordinate, to the right. Of pca, in lengths of the vectors, which is 1."),
        Column("y", pl.Float64, "Second coordinate, upwards, on the scale of the first."),
        Column(
            "explained_ratio",
            pl.Float64,
            "Share of the variance of the space that both components have, 0..1; null of umap, and where all vectors "
            "are the same.",
        ),
        Column("parameters", pl.String, "The method's parameters, seed, library and its version, JSON."),
        Column(
            "inputs_sha256",
            pl.String,
            "sha256 over what the space is made of, as in spaces, and the parameters.",
        ),
    ),
    ("space", "method", "plate_id"),
)
