"""The catalogue's SQL macros, each with its meaning."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


MACROS = {
    "nearest": (
        "k plates nearest to a plate by cosine of an embedding; 1 is the same direction, vectors of length 0 have none",
        """
        CREATE MACRO nearest(plate, instrument_key, k) AS TABLE
        WITH vectors AS (
            SELECT plate_id, vector FROM embeddings
            WHERE instrument = instrument_key AND scope = 'plate' AND is_current AND l2_norm > 0
        )
        SELECT other.plate_id, plates.title, list_cosine_similarity(query.vector, other.vector) AS cosine
        FROM vectors AS query
        JOIN vectors AS other ON other.plate_id <> query.plate_id
        LEFT JOIN plates ON plates.plate_id = other.plate_id
        WHERE query.plate_id = plate
        ORDER BY cosine DESC, other.plate_id
        LIMIT k
        """,
    ),
    "nearest_tiles": (
        "k tiles of other plates nearest to a tile by cosine of an embedding with tiles; null asks by the whole plate",
        """
        CREATE MACRO nearest_tiles(plate, tile, instrument_key, k) AS TABLE
        WITH vectors AS (
            SELECT plate_id, scope, tile_id, x_min, y_min, x_max, y_max, vector FROM embeddings
            WHERE instrument = instrument_key AND scope IN ('plate', 'tile') AND is_current AND l2_norm > 0
        )
        SELECT other.plate_id, plates.title, other.tile_id, other.x_min, other.y_min, other.x_max, other.y_max,
               list_cosine_similarity(query.vector, other.vector) AS cosine
        FROM vectors AS query
        JOIN vectors AS other ON other.plate_id <> query.plate_id
        LEFT JOIN plates ON plates.plate_id = other.plate_id
        WHERE query.plate_id = plate AND query.tile_id IS NOT DISTINCT FROM tile AND other.scope = 'tile'
        ORDER BY cosine DESC, other.plate_id, other.tile_id
        LIMIT k
        """,
    ),
    "nearest_regions": (
        "k other plates by the kept segment of theirs that is nearest to a segment, by cosine of a regions instrument",
        """
        CREATE MACRO nearest_regions(plate, segment, instrument_key, k) AS TABLE
        WITH vectors AS (
            SELECT plate_id, segment_id, vector FROM embeddings
            WHERE instrument = instrument_key AND scope = 'segment' AND is_current AND l2_norm > 0
        )
        SELECT other.plate_id, plates.title, other.segment_id,
               list_cosine_similarity(query.vector, other.vector) AS cosine
        FROM vectors AS query
        JOIN vectors AS other ON other.plate_id <> query.plate_id
        LEFT JOIN plates ON plates.plate_id = other.plate_id
        WHERE query.plate_id = plate AND query.segment_id = segment
        QUALIFY row_number() OVER (PARTITION BY other.plate_id ORDER BY cosine DESC, other.segment_id) = 1
        ORDER BY cosine DESC, other.plate_id
        LIMIT k
        """,
    ),
    "text_nearest": (
        "k plates nearest to a text's vector (see `atlas search`) by cosine of an embedding of the same space",
        """
        CREATE MACRO text_nearest(text_vector, instrument_key, k) AS TABLE
        SELECT embeddings.plate_id, plates.title,
               list_cosine_similarity(embeddings.vector, text_vector::FLOAT[]) AS cosine
        FROM embeddings LEFT JOIN plates ON plates.plate_id = embeddings.plate_id
        WHERE embeddings.instrument = instrument_key AND scope = 'plate' AND is_current AND l2_norm > 0
        ORDER BY cosine DESC, embeddings.plate_id
        LIMIT k
        """,
    ),
    "histogram_nearest": (
        "k plates nearest to a plate by colour: Hellinger distance of the Lab histograms, 0 (equal) to 1 (disjoint)",
        """
        CREATE MACRO histogram_nearest(plate, k) AS TABLE
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
    ),
    "why": (
        "where the current result of an instrument on a plate came from",
        """
        CREATE MACRO why(plate, instrument_key) AS TABLE
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
    ),
}
