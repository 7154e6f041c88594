"""The catalogue's table macros."""

from atlas_resources.catalogue._view import Macro

MACROS = (
    Macro(
        "cosines",
        ("query_vector", "instrument_key"),
        """
        SELECT plate_id, plates.title, scope, segment_id, tile_id, x_min, y_min, x_max, y_max,
               list_cosine_similarity(query_vector, vector) AS cosine
        FROM embeddings LEFT JOIN plates USING (plate_id)
        WHERE instrument = instrument_key AND is_current AND l2_norm > 0 AND query_vector IS NOT NULL
        """,
        "Cosine between a vector and each current vector of an embedding instrument, of plates, segments and tiles. "
        "1 is the same direction. Vectors of length 0 have no direction and are left out.",
    ),
    Macro(
        "nearest",
        ("plate", "instrument_key", "k"),
        """
        SELECT plate_id, title, cosine
        FROM cosines((
            SELECT vector FROM embeddings
            WHERE plate_id = plate AND instrument = instrument_key AND scope = 'plate' AND is_current AND l2_norm > 0
        ), instrument_key)
        WHERE plate_id <> plate AND scope = 'plate'
        ORDER BY cosine DESC, plate_id
        LIMIT k
        """,
        "The k plates nearest to a plate by cosine of an embedding instrument's vectors.",
    ),
    Macro(
        "nearest_tiles",
        ("plate", "tile", "instrument_key", "k"),
        """
        SELECT plate_id, title, tile_id, x_min, y_min, x_max, y_max, cosine
        FROM cosines((
            SELECT vector FROM embeddings
            WHERE plate_id = plate AND instrument = instrument_key AND scope IN ('plate', 'tile')
                  AND tile_id IS NOT DISTINCT FROM tile AND is_current AND l2_norm > 0
        ), instrument_key)
        WHERE plate_id <> plate AND scope = 'tile'
        ORDER BY cosine DESC, plate_id, tile_id
        LIMIT k
        """,
        "The k tiles of other plates nearest to a tile, or to the whole plate where the tile is NULL, by cosine of an "
        "embedding instrument that measures tiles.",
    ),
    Macro(
        "nearest_regions",
        ("plate", "segment", "instrument_key", "k"),
        """
        SELECT plate_id, title, segment_id, cosine
        FROM cosines((
            SELECT vector FROM embeddings
            WHERE plate_id = plate AND instrument = instrument_key AND scope = 'segment'
                  AND segment_id = segment AND is_current AND l2_norm > 0
        ), instrument_key)
        WHERE plate_id <> plate AND scope = 'segment'
        QUALIFY row_number() OVER (PARTITION BY plate_id ORDER BY cosine DESC, segment_id) = 1
        ORDER BY cosine DESC, plate_id
        LIMIT k
        """,
        "The k other plates nearest to a kept segment, each by its own nearest segment, by cosine of an instrument "
        "that embeds segments.",
    ),
    Macro(
        "text_nearest",
        ("text_vector", "instrument_key", "k"),
        """
        SELECT plate_id, title, cosine
        FROM cosines(text_vector::FLOAT[], instrument_key)
        WHERE scope = 'plate'
        ORDER BY cosine DESC, plate_id
        LIMIT k
        """,
        "The k plates nearest to a text's vector by cosine of an embedding instrument of the same space. "
        "`atlas search` computes the vector.",
    ),
    Macro(
        "histogram_nearest",
        ("plate", "k"),
        """
        WITH roots AS (
            SELECT plate_id, list_transform(lab, lambda n: sqrt(n / pixel_count)) AS root FROM histograms
        )
        SELECT other.plate_id, plates.title,
               sqrt(greatest(0.0, 1.0 - list_inner_product(query.root, other.root))) AS hellinger_distance
        FROM roots AS query
        JOIN roots AS other ON other.plate_id <> query.plate_id
        LEFT JOIN plates ON plates.plate_id = other.plate_id
        WHERE query.plate_id = plate
        ORDER BY hellinger_distance, other.plate_id
        LIMIT k
        """,
        "The k plates nearest to a plate by colour: Hellinger distance of their Lab histograms, 0 (equal) to 1 "
        "(disjoint).",
    ),
    Macro(
        "why",
        ("plate", "instrument_key"),
        """
        SELECT runs.plate_id, runs.instrument, runs.source_sha256, plates.source_image, runs.model_id, runs.model_sha,
               runs.weights_sha256, runs.preprocess_tag, models.preprocessing, models.parameters, runs.fingerprint,
               runs.licence, runs.device, runs.dtype, runs.packages, runs.code_git_sha, runs.code_is_dirty,
               runs.run_id, runs.dagster_run_id, runs.sealed_at, lineage.output_path, lineage.output_sha256
        FROM runs
        LEFT JOIN plates ON plates.plate_id = runs.plate_id
        LEFT JOIN models ON models.instrument = runs.instrument AND models.fingerprint = runs.fingerprint
        LEFT JOIN lineage ON lineage.run_id = runs.run_id AND lineage.plate_id = runs.plate_id
             AND lineage.output_path LIKE '%.parquet'
        WHERE runs.plate_id = plate AND runs.instrument = instrument_key AND runs.is_current
        """,
        "Where an instrument's current result on a plate comes from: source, model, weights, parameters, code and run.",
    ),
)
"""Every macro. One that calls another comes after it."""
