"""`atlas.duckdb`: the ledgers as documented tables, a view per instrument, and the macros analysts call.

Written beside, then renamed.
"""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from atlas_resources.commercial import create_commercial_views
from atlas_resources.dataset import Dataset
from atlas_resources.detection_views import create_detection_views
from atlas_resources.durable_files import sweep_leftovers, sync_folder
from atlas_resources.ledger import ledger_path
from atlas_resources.ledger_tables import LEDGERS
from atlas_resources.registry import Registry
from atlas_resources.segment_sets import create_segment_sets
from atlas_resources.spec_output import ScoresOutput, VectorOutput
from atlas_resources.view_columns import comment_view_columns

if TYPE_CHECKING:
    import duckdb

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

REGIONS_MEANING = "Current kept segments, one row each: shape from segments, colours and polygons where they are made."
REGIONS = """
    CREATE VIEW regions AS
    SELECT kept.plate_id, plates.title, kept.segmenter, kept.segment_id, kept.rank, raw.class_name, kept.area_px,
           kept.area_ratio, kept.x_min, kept.y_min, kept.x_max, kept.y_max, raw.centroid_x, raw.centroid_y,
           raw.predicted_iou, raw.stability_score, raw.fragmentation_score, raw.hole_count, raw.touches_border,
           colours.luminance_mean, colours.luminance_std, colours.lab_mean, colours.chroma_mean,
           colours.paper_difference, colours.palette, colours.edge_density, colours.laplacian_variance,
           outlines.multipolygon, outlines.reprojected_iou, kept.height_px, kept.width_px, kept.mask_sha256,
           kept.mask_rle, kept.licence, kept.commercial_use, kept.run_id
    FROM kept_segments AS kept
    LEFT JOIN plates USING (plate_id)
    LEFT JOIN segments AS raw ON raw.is_current AND raw.instrument = kept.segmenter
         AND (raw.plate_id, raw.segment_id, raw.mask_sha256) = (kept.plate_id, kept.segment_id, kept.mask_sha256)
    LEFT JOIN region_colours AS colours ON colours.is_current AND colours.segmenter = kept.segmenter
         AND (colours.plate_id, colours.segment_id, colours.mask_sha256)
             = (kept.plate_id, kept.segment_id, kept.mask_sha256)
    LEFT JOIN region_outlines AS outlines ON outlines.is_current AND outlines.segmenter = kept.segmenter
         AND (outlines.plate_id, outlines.segment_id, outlines.mask_sha256)
             = (kept.plate_id, kept.segment_id, kept.mask_sha256)
    WHERE kept.is_current AND kept.rank IS NOT NULL
"""


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _create_tables(connection: "duckdb.DuckDBPyConnection", dataset: Dataset) -> None:
    for name, table in LEDGERS.items():
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet(?)", [str(ledger_path(dataset, table))])
        connection.execute(f"COMMENT ON TABLE {name} IS {_text(table.meaning)}")
        for column in table.columns:
            connection.execute(f'COMMENT ON COLUMN {name}."{column.name}" IS {_text(column.meaning)}')


def _create_views(connection: "duckdb.DuckDBPyConnection", registry: Registry) -> None:
    """Regions; per embedding a view with fixed-size arrays, raw and of unit length; per probe its present scores."""
    connection.execute(REGIONS)
    connection.execute(f"COMMENT ON VIEW regions IS {_text(REGIONS_MEANING)}")
    for spec in registry.admitted:
        match spec.output:
            case VectorOutput(dim=dim):
                view, meaning = f"embeddings_{spec.key}", f"Current vectors of {spec.title}, fixed-size arrays."
                connection.execute(f"""
                    CREATE VIEW {view} AS
                    SELECT plate_id, scope, segment_id, tile_id, x_min, y_min, x_max, y_max,
                           vector::FLOAT[{dim}] AS vector,
                           list_transform(vector, lambda x: x / l2_norm)::FLOAT[{dim}] AS vector_unit, l2_norm, run_id
                    FROM embeddings WHERE instrument = {_text(spec.key)} AND is_current
                """)
            case ScoresOutput():
                view, meaning = f"probes_{spec.key}", f"Current scores of {spec.title}, best first per plate."
                connection.execute(f"""
                    CREATE VIEW {view} AS
                    SELECT plate_id, row_number() OVER (PARTITION BY plate_id ORDER BY score DESC, label_index) AS rank,
                           label, score, logit, label_index, label_id, calibration, run_id
                    FROM probes WHERE instrument = {_text(spec.key)} AND is_current
                """)
            case _:
                continue
        connection.execute(f"COMMENT ON VIEW {view} IS {_text(meaning)}")


def _create_macros(connection: "duckdb.DuckDBPyConnection") -> None:
    for name, (meaning, definition) in MACROS.items():
        connection.execute(definition)
        connection.execute(f"COMMENT ON MACRO TABLE {name} IS {_text(meaning)}")


def build_catalogue(dataset: Dataset, registry: Registry) -> Path:
    """Builds the catalogue from the ledgers.

    An open connection keeps the file it opened; whoever connects next sees the new one.

    Raises:
        FileNotFoundError: a ledger is missing.
    """
    import duckdb

    missing = [name for name, table in LEDGERS.items() if not ledger_path(dataset, table).is_file()]
    if missing:
        mend = """atlas run 'key:"ledger/*" or key:"catalogue"'"""
        raise FileNotFoundError(f"{dataset.ledger_dir}: no ledger yet of {', '.join(missing)}. Build them: {mend}")
    path = dataset.catalogue_path
    sweep_leftovers(path.parent)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with duckdb.connect(str(beside)) as connection:
            _create_tables(connection, dataset)
            _create_views(connection, registry)
            create_commercial_views(connection)
            create_segment_sets(connection, dataset)
            create_detection_views(connection)
            comment_view_columns(connection)
            _create_macros(connection)
            connection.execute("CHECKPOINT")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
        beside.with_name(f"{beside.name}.wal").unlink(missing_ok=True)
    sync_folder(path.parent)
    return path


def connect(dataset: Dataset) -> "duckdb.DuckDBPyConnection":
    """The catalogue, read-only. Raises FileNotFoundError, with the command that builds it, if there is none."""
    import duckdb

    if not dataset.catalogue_path.is_file():
        raise FileNotFoundError(f"{dataset.catalogue_path} is not there yet. Build it: atlas run")
    return duckdb.connect(str(dataset.catalogue_path), read_only=True)
