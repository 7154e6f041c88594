"""Export for viewers: a folder per plate with its image, regions and lines of text, and a IIIF manifest."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from atlas_resources.export._destination import require_outside
from atlas_resources.export.annotations import (
    PlatePage,
    PublishedRegion,
    annotation_page,
    feature_collection,
)
from atlas_resources.export.iiif import iiif_manifest
from atlas_resources.export.ledgers import require_present_withdrawals
from atlas_resources.export.texts import LINES_NAME, current_lines, text_page
from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.ledgers.terms import allowed_rows
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode_source
from atlas_resources.tables.ledgers import MODELS, PLATES
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT

JPEG_QUALITY = 90
FACTS = (
    "instrument", "segmenter", "area_px", "area_ratio", "rank", "luminance_mean", "paper_difference", "mask_sha256",
    "tolerance_px", "reprojected_iou", "licence", "commercial_use", "run_id",
)  # fmt: skip
KEYS = ["plate_id", "segmenter", "segment_id", "mask_sha256"]


@dataclass(frozen=True)
class WrittenPlate:
    """A plate whose regions, and lines of text if any were read, were written."""

    plate_id: str
    manifest: Path
    regions_count: int
    lines_count: int


def _current(dataset: Dataset, role: str) -> pl.DataFrame:
    return read_ledger(dataset, INSTRUMENT_TABLES[role]).filter(IS_CURRENT.name)


def _rows(dataset: Dataset, segmenter: str, commercial: bool) -> pl.DataFrame:
    """Current outlines of a segmenter's kept segments, joined with verdicts and colours, sorted by plate and rank."""
    outlines = _current(dataset, "outline").filter(pl.col("segmenter") == segmenter)
    if outlines.is_empty():
        raise FileNotFoundError(
            f"{dataset.ledger_dir}: no polygons of {segmenter}. Make them: "
            f"atlas run 'key:\"regions/{segmenter}/polygons\"', then atlas run @ledgers"
        )
    if commercial:
        outlines = allowed_rows(outlines, read_ledger(dataset, MODELS), read_ledger(dataset, PLATES))
    kept = _current(dataset, "pruning").select(
        *KEYS, "rank", "area_px", "area_ratio", "x_min", "y_min", "x_max", "y_max", "width_px", "height_px"
    )
    colours = _current(dataset, "palette").select(*KEYS, "palette", "luminance_mean", "paper_difference")
    return outlines.join(kept, on=KEYS).join(colours, on=KEYS, how="left").sort("plate_id", "rank")


def _published(row: dict[str, Any]) -> PublishedRegion:
    facts = {name: row[name] for name in FACTS}
    facts["palette"] = [colour["srgb_hex"] for colour in row["palette"] or []]
    return PublishedRegion(
        segment_id=row["segment_id"],
        polygons=json.loads(row["multipolygon"])["coordinates"],
        box=(row["x_min"], row["y_min"], row["x_max"], row["y_max"]),
        facts=facts,
    )


def _jpeg(dataset: Dataset, plate_id: str) -> bytes:
    """The plate's upright pixels at full size, which the coordinates refer to."""
    plate = dataset.plate(plate_id)
    image = decode_source(plate).image
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def export_regions(
    dataset: Dataset, folder: Path, segmenter: str, base_url: str, *, commercial: bool = False
) -> Iterator[WrittenPlate]:
    """Writes `<folder>/<plate_id>/` for every plate with current polygons, each file atomically.

    Args:
        dataset: the dataset.
        folder: folder to write to; created if missing.
        segmenter: instrument whose kept segments are exported.
        base_url: address that the folder will be served under; IIIF identifies everything by address.
        commercial: leave out regions that are not known to allow commercial use.

    Yields:
        Each plate once its files are written.

    Raises:
        FileNotFoundError: the ledgers have no polygons of the segmenter.
        ValueError: the folder is inside the dataset, the address is not http or https, or the ledgers are behind the
            withdrawals.
    """
    require_outside(dataset, folder)
    require_present_withdrawals(dataset)
    if not base_url.startswith(("http://", "https://")):
        raise ValueError(f"base address: expected one that starts with http:// or https://, found {base_url!r}")
    lines = current_lines(dataset, commercial)
    for (plate_id,), rows in _rows(dataset, segmenter, commercial).group_by("plate_id", maintain_order=True):
        regions = [_published(row) for row in rows.iter_rows(named=True)]
        manifest = dataset.plate(str(plate_id)).manifest()
        page = PlatePage(
            plate_id=manifest.plate_id,
            title=manifest.title,
            width_px=rows["width_px"][0],
            height_px=rows["height_px"][0],
            url=f"{base_url.rstrip('/')}/{manifest.plate_id}",
            licence=manifest.license,
            plate_number=manifest.plate_number,
            extra=manifest.extra,
        )
        here = folder / manifest.plate_id
        write_bytes_atomically(here / "image.jpg", _jpeg(dataset, manifest.plate_id))
        read = lines.filter(pl.col("plate_id") == manifest.plate_id)
        texts = {LINES_NAME: text_page(page, read)} if read.height else {}
        for name, content in (
            ("regions.geojson", feature_collection(page, regions)),
            ("annotations.json", annotation_page(page, regions)),
            *texts.items(),
            ("manifest.json", iiif_manifest(page, tuple(texts))),
        ):
            write_bytes_atomically(here / name, json.dumps(content, ensure_ascii=False, indent=1).encode())
        yield WrittenPlate(manifest.plate_id, here / "manifest.json", len(regions), read.height)
