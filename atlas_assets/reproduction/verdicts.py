"""The verdict on one plate: whether its sealed file and the repeated measurement are the same, near, or different."""

import hashlib
import io
from dataclasses import dataclass

import polars as pl

from atlas_assets.reproduction.comparison import Comparison, compare_rows
from atlas_assets.reproduction.repeatable import Repeatable
from atlas_resources.instruments.spec.numeric import Tolerance
from atlas_resources.plates.json_files import DatasetBroken, read_whole
from atlas_resources.plates.records.reproduction import ColumnDifference, ReproducedPlate
from atlas_resources.runs.sealed import result_file
from atlas_resources.runs.sealing import Measurement, parquet_bytes
from atlas_resources.tables.results import identify_rows

IN_WORDS = {
    "relative": "relative difference",
    "score": "difference",
    "box_px": "pixels",
    "pixel_share": "share of pixels",
    "delta_e": "CIEDE2000",
    "field_ratio": "the same fields, share with other values",
    "unequal_rows": "unequal rows",
}


@dataclass(frozen=True)
class Repeated:
    """A plate's sealed result, and what was measured when it was repeated."""

    case: Repeatable
    measurement: Measurement


def judge(repeated: Repeated, tolerance: Tolerance) -> ReproducedPlate:
    """Compares the repetition with the sealed file: first the bytes, then the rows.

    A sealed file that was altered makes the plate different, even with equal rows: it is not what the run sealed.
    """
    plate, manifest = repeated.case.plate, repeated.case.manifest
    rows = identify_rows(
        repeated.measurement.rows, manifest.instrument, manifest.run_id, plate.id, manifest.source_sha256
    )
    content = parquet_bytes(rows)
    try:
        file = result_file(plate, manifest)
        sealed = read_whole(plate.folder / file.path)
    except DatasetBroken as error:
        return _different(plate.id, f"there is nothing to compare with: {error}", False)
    has_same_bytes = hashlib.sha256(content).hexdigest() == file.sha256
    found = hashlib.sha256(sealed).hexdigest()
    altered = ""
    if found != file.sha256:
        altered = f"{file.path} changed since it was sealed: expected sha256 {file.sha256}, found {found}"
        if has_same_bytes:
            altered += "; the repetition has the digest that was sealed"
    try:
        before = pl.read_parquet(io.BytesIO(sealed))
    except pl.exceptions.PolarsError as error:
        return _different(plate.id, altered or f"the sealed file cannot be read: {error}", has_same_bytes)
    comparison = compare_rows(manifest.instrument.role, before, rows, tolerance)
    return _of_rows(plate.id, altered, has_same_bytes, comparison, (before.height, rows.height))


def _of_rows(
    plate_id: str, altered: str, has_same_bytes: bool, comparison: Comparison, heights: tuple[int, int]
) -> ReproducedPlate:
    beyond = "; ".join(describe(one) for one in comparison.beyond)
    verdict = "different" if altered or beyond else "within_tolerance" if comparison.differences else "identical"
    return ReproducedPlate(
        plate_id=plate_id,
        verdict=verdict,
        reason="; ".join(part for part in (altered, beyond) if part) or None,
        has_same_bytes=has_same_bytes,
        sealed_row_count=heights[0],
        repeated_row_count=heights[1],
        cosine_min=comparison.cosine_min,
        differences=list(comparison.differences),
    )


def describe(one: ColumnDifference) -> str:
    """A difference in words, such as `vector: relative difference 0.02 in plate, at most 0.0001`."""
    largest = f"{one.largest:g}" if one.measure == "unequal_rows" else f"{one.largest:.3g}"
    limit = f", at most {one.tolerance:g}" if one.measure != "unequal_rows" else ""
    return f"{one.column}: {IN_WORDS[one.measure]} {largest} in {one.row}{limit}"


def _different(plate_id: str, reason: str, has_same_bytes: bool) -> ReproducedPlate:
    return ReproducedPlate(plate_id=plate_id, verdict="different", reason=reason, has_same_bytes=has_same_bytes)
