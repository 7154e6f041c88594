"""The table of each role: the ledger its rows gather in, and the file of a plate's own rows in a sealed run."""

import polars as pl

from atlas_resources.instruments.instrument_identity import InstrumentIdentity
from atlas_resources.tables.result_columns import (
    DETECTION,
    EMBEDDING,
    KEPT_SEGMENT,
    PROBE,
    REGION_COLOURS,
    REGION_OUTLINE,
    SEGMENT,
)
from atlas_resources.tables.table import IDENTITY, IS_CURRENT, Table

INSTRUMENT_TABLES = {  # by role: a role is known everywhere by being here, and in `instruments.ROLES`
    "embedding": Table(
        "embeddings",
        "Vectors of plates, their tiles and segments, raw; the views `embeddings_KEY` give fixed-size arrays.",
        (*IDENTITY, *EMBEDDING, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "scope", "segment_id", "tile_id"),
        "embeddings.parquet",
    ),
    "segmentation": Table(
        "segments",
        "Masks of plates at source size, with what is measured of their shape and colour.",
        (*IDENTITY, *SEGMENT, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "segment_id"),
        "segments.parquet",
    ),
    "probe": Table(
        "probes",
        "Scores of plates, every label, not only the winner. Weak signals: read calibration and failure_modes.",
        (*IDENTITY, *PROBE, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "label_index"),
        "probe_scores.parquet",
    ),
    "detection": Table(
        "detections",
        "Labelled boxes on plates, above the instrument's threshold. Weak signals on engravings: read label and score.",
        (*IDENTITY, *DETECTION, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "detection_id"),
        "detections.parquet",
    ),
    "pruning": Table(
        "kept_segments",
        "Verdict on every segment of a raw set: kept, with its rank and mask, or dropped, with the rule that did it.",
        (*IDENTITY, *KEPT_SEGMENT, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "segment_id"),
        "kept_segments.parquet",
    ),
    "palette": Table(
        "region_colours",
        "Luminance, colours and texture of kept segments, from the source's pixels inside the mask and no others.",
        (*IDENTITY, *REGION_COLOURS, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "segment_id"),
        "region_colours.parquet",
    ),
    "outline": Table(
        "region_outlines",
        "Kept segments as polygons of a stated tolerance, and how far these are from the masks.",
        (*IDENTITY, *REGION_OUTLINE, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "segment_id"),
        "region_outlines.parquet",
    ),
}
FILE_OF_ROLE = {role: table.plate_file for role, table in INSTRUMENT_TABLES.items()}


def identify_rows(
    rows: pl.DataFrame, identity: InstrumentIdentity, run_id: str, plate_id: str, source_sha256: str
) -> pl.DataFrame:
    """Adds the identity columns to a plate's measured rows. Returns the columns and types of the sealed file."""
    columns = {
        "run_id": run_id,
        "plate_id": plate_id,
        "instrument": identity.key,
        "model_id": identity.model_id,
        "model_sha": identity.model_sha,
        "weights_sha256": identity.weights_sha256,
        "preprocess_tag": identity.preprocess_tag,
        "fingerprint": identity.fingerprint,
        "source_sha256": source_sha256,
        "licence": identity.licence,
        "commercial_use": identity.commercial_use,
    }
    schema = INSTRUMENT_TABLES[identity.role].sealed_schema
    constants = [pl.lit(value, dtype=pl.String).alias(name) for name, value in columns.items()]
    return rows.with_columns(constants).select(schema.names()).cast(schema)
