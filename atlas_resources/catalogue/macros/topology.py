"""Macros on the ledgers of topology: nearest by all embedding spaces together, copies, outliers, clusters."""

from atlas_resources.catalogue._view import Macro
from atlas_resources.catalogue.macros.refusals import (
    COUNT,
    NO_COUNT,
    PLATE,
    UNKNOWN_PLATE,
    listed,
    most,
    names_of,
    refusing,
    unknown_name,
)
from atlas_resources.measures.spaces.neighbour_graphs import RANK_OFFSET

_ENSEMBLE = ("plate_id", "title", "score", "mean_z", "space_count", "votes")
ENSEMBLE_NEAREST = Macro(
    "ensemble_nearest",
    ("plate", "k"),
    refusing(
        "ensemble_nearest",
        _ENSEMBLE,
        {**PLATE, **COUNT},
        f"""
        SELECT near.neighbour_id AS plate_id, any_value(title) AS title,
               sum(1.0 / ({RANK_OFFSET} + near.rank)) AS score,
               avg((near.cosine - own.mean_cosine) / nullif(own.std_cosine, 0)) AS mean_z,
               count(*) AS space_count,
               list({{'space': near.space, 'rank': near.rank, 'cosine': near.cosine}} ORDER BY near.space) AS votes
        FROM asked
        JOIN neighbours AS near ON near.plate_id = asked_plate
        JOIN (SELECT space FROM spaces WHERE kind = 'embedding') AS embedding ON embedding.space = near.space
        JOIN plate_spaces AS own ON own.space = near.space AND own.plate_id = near.plate_id
        LEFT JOIN (SELECT plate_id, title FROM plates) AS named ON named.plate_id = near.neighbour_id
        GROUP BY near.neighbour_id
        """,
        UNKNOWN_PLATE,
        NO_COUNT,
    )
    + f"ORDER BY score DESC, plate_id LIMIT {most()}",
    "The k plates nearest to a plate by all embedding spaces together: reciprocal rank fusion of each space's 20 "
    "neighbours. mean_z is the mean, over the spaces that name the plate, of its cosine in standard deviations from "
    "the mean of the asked plate's cosines; votes has each space's rank and cosine.",
)
DUPLICATES = Macro(
    "duplicates",
    (),
    """
    SELECT group_number, first_plate, first.title AS first_title, second_plate, second.title AS second_title,
           is_same_file, phash_distance, dhash_distance, is_by_vectors, cosines
    FROM near_duplicates
    LEFT JOIN (SELECT plate_id, title FROM plates) AS first ON first.plate_id = first_plate
    LEFT JOIN (SELECT plate_id, title FROM plates) AS second ON second.plate_id = second_plate
    ORDER BY group_number, first_plate, second_plate
    """,
    "Pairs of plates that may be copies of each other, by group, with the evidence of files, hashes and vectors.",
)
OUTLIERS = Macro(
    "outliers",
    (),
    """
    SELECT plate_id, any_value(title) AS title, any_value(is_outlier_everywhere) AS is_outlier_everywhere,
           list(space ORDER BY space) AS spaces, max(outlier_factor) AS largest_factor
    FROM plate_spaces
    JOIN plate_agreement USING (plate_id)
    LEFT JOIN (SELECT plate_id, title FROM plates) USING (plate_id)
    WHERE is_outlier
    GROUP BY plate_id
    ORDER BY is_outlier_everywhere DESC, len(spaces) DESC, largest_factor DESC, plate_id
    """,
    "Plates that are alone in at least one space, those alone in every space first: torn, miscoloured or wrong scans "
    "are often among them.",
)
_CLUSTERS = ("cluster", "plate_count", "plate_id", "title", "is_exemplar", "cluster_probability")
CLUSTERS = Macro(
    "clusters",
    ("of_space",),
    refusing(
        "clusters",
        _CLUSTERS,
        {"asked_space": "of_space::VARCHAR"},
        """
        SELECT cluster, count(*) OVER (PARTITION BY asked_space, cluster) AS plate_count, plate_id, title, is_exemplar,
               cluster_probability
        FROM asked
        JOIN plate_spaces ON space = asked_space
        LEFT JOIN (SELECT plate_id, title FROM plates) USING (plate_id)
        WHERE cluster IS NOT NULL
        """,
        unknown_name(
            "space",
            "asked_space",
            "known_spaces",
            names_of("space", "FROM spaces"),
            f"' Spaces: ' || {listed('known_spaces')} || '.'",
        ),
    )
    + "ORDER BY cluster, is_exemplar DESC, cluster_probability DESC, plate_id",
    "The plates of each cluster of a space, the largest cluster and its exemplar first, without those in no cluster.",
)
MACROS = (ENSEMBLE_NEAREST, DUPLICATES, OUTLIERS, CLUSTERS)
