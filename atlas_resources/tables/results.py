"""The table of each role: its ledger, and its file in a plate's sealed run."""

from collections.abc import Sequence

import polars as pl

from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.instruments.roles import ROLES
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.tables.result_columns import (
    DETECTION,
    EMBEDDING,
    KEPT_SEGMENT,
    PROBE,
    REGION_COLOURS,
    REGION_OUTLINE,
    SEGMENT,
)
from atlas_resources.tables.table import IDENTITY, IS_CURRENT, Column, Table
from atlas_resources.tables.text_columns import ANSWER, TEXT


def _result_table(role: str, meaning: str, columns: Sequence[Column], *key: str) -> Table:
    """A table whose rows instruments of a role measure; `key` tells apart the rows of one plate and run."""
    record, order_by = ROLES[role], ("instrument", "plate_id", "run_id", *key)
    if record.table is None:
        raise ValueError(f"role {role!r} has no table in instruments/roles.py")
    return Table(record.table, meaning, (*IDENTITY, *columns, IS_CURRENT), order_by, record.result_file or "")


INSTRUMENT_TABLES = {
    "embedding": _result_table(
        "embedding",
        "Raw vectors of plates, their tiles and segments. The views `embeddings_KEY` have arrays of fixed size.",
        EMBEDDING,
        "scope",
        "segment_id",
        "tile_id",
    ),
    "segmentation": _result_table(
        "segmentation",
        "Masks of plates at source size, with measures of their shape and colour.",
        SEGMENT,
        "segment_id",
    ),
    "probe": _result_table(
        "probe",
        "Scores of plates for every label, not only the best. Weak signals: read calibration and failure_modes.",
        PROBE,
        "label_index",
    ),
    "detection": _result_table(
        "detection",
        "Labelled boxes on plates, above the instrument's threshold. Weak signals on engravings: read label and score.",
        DETECTION,
        "detection_id",
    ),
    "text": _result_table(
        "text",
        "What models read or wrote on plates: lines, captions, answers. Machine-made: no row is a fact of a plate.",
        (*TEXT, *ANSWER),
        "text_id",
    ),
    "pruning": _result_table(
        "pruning",
        "Verdict on each segment of a raw set: kept, with its rank and mask, or dropped, with the rule that did it.",
        KEPT_SEGMENT,
        "segment_id",
    ),
    "palette": _result_table(
        "palette",
        "Luminance, colours and texture of kept segments, measured on the source's pixels inside the mask alone.",
        REGION_COLOURS,
        "segment_id",
    ),
    "outline": _result_table(
        "outline",
        "Kept segments as polygons of a stated tolerance, and how much these differ from the masks.",
        REGION_OUTLINE,
        "segment_id",
    ),
}
"""The table of each role."""
FILE_OF_ROLE = {role: table.plate_file for role, table in INSTRUMENT_TABLES.items()}
REGIONS = "regions"


def asset_name(spec: Spec) -> str:
    """The asset of an instrument: `<table>/<key>`, or `regions/<segmenter>/<part>` for what is derived from masks."""
    if spec.region:
        return f"{REGIONS}/{spec.region.segmenter}/{spec.region.part}"
    return f"{INSTRUMENT_TABLES[spec.role].name}/{spec.key}"


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
