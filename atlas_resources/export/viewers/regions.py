"""Export for viewers: a folder per plate with its image, regions and texts, and a IIIF manifest."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from atlas_resources.export._destination import require_outside
from atlas_resources.export.left_out import (
    LeftOut,
    LeftOutPlate,
    Withdrawn,
    count_left_out,
    plate_sentences,
    plates_left_out,
    require_present_entries,
    withdrawn_from,
)
from atlas_resources.export.viewers.annotations import (
    REGIONS_NAME,
    PlatePage,
    PublishedRegion,
    annotation_page,
    feature_collection,
)
from atlas_resources.export.viewers.iiif import COLLECTION_NAME, iiif_collection, iiif_manifest
from atlas_resources.export.viewers.people import MASK, judged_segments, with_people, without_rejected_segments
from atlas_resources.export.viewers.texts import LABELS, is_published, text_pages, with_outlines
from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.ledgers.terms import allowed_rows, withheld_plates, withheld_rows
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode_source
from atlas_resources.tables.ledgers import MODELS, PLATES, RUNS
from atlas_resources.tables.records.tags import TAGS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT

JPEG_QUALITY = 90
FACTS = (
    "instrument", "segmenter", "class_name", "area_px", "area_ratio", "rank", "luminance_mean", "paper_difference",
    "mask_sha256", "tolerance_px", "reprojected_iou", "licence", "commercial_use", "run_id",
)  # fmt: skip
GEOJSON_NAME = "regions.geojson"


@dataclass(frozen=True)
class WrittenPlate:
    """A plate that was written, with how many regions, lines that were read and answers of models it has."""

    plate_id: str
    manifest: Path
    regions_count: int
    lines_count: int
    answers_count: int


@dataclass(frozen=True)
class Publishable:
    """What an export may have of every plate.

    Attributes:
        regions: current outlines of the segmenter that people did not reject, with verdicts, classes and colours, by
            plate and rank.
        texts: current usable texts that people did not reject, nor the segment that they are about, by plate,
            instrument and order.
        left_out: rows that were left out by the terms of models; empty unless the export is for commercial use.
        has_polygons: whether the segmenter has polygons, be they left out or not.
        plates: plates that were left out by the terms of their scans, likewise.
        withdrawn: what is withdrawn.
        rejected_regions, rejected_texts: how many were left out since people rejected them.
    """

    regions: pl.DataFrame
    texts: pl.DataFrame
    left_out: list[LeftOut]
    has_polygons: bool
    plates: list[LeftOutPlate]
    withdrawn: Withdrawn
    rejected_regions: int
    rejected_texts: int

    @property
    def sentences(self) -> list[str]:
        """What was left out, and why, a line each."""
        judged = ((self.rejected_regions, "region"), (self.rejected_texts, "text"))
        return [
            *self.withdrawn.sentences,
            *(f"{count} {one}{'' if count == 1 else 's'}: rejected by people" for count, one in judged if count),
            *plate_sentences(self.plates),
            *(one.sentence for one in self.left_out),
        ]


def _current(dataset: Dataset, role: str) -> pl.DataFrame:
    return read_ledger(dataset, INSTRUMENT_TABLES[role]).filter(IS_CURRENT.name)


def find_publishable(dataset: Dataset, segmenter: str, *, commercial: bool = False) -> Publishable:
    """Reads the regions and texts that may be published from the ledgers.

    Args:
        dataset: the dataset.
        segmenter: instrument whose kept segments are exported.
        commercial: leave out rows that are not known to allow commercial use.

    Raises:
        FileNotFoundError: the ledgers have no polygons of the segmenter, and no text; or it is no segmenter.
    """
    models, plates, tags = (read_ledger(dataset, table) for table in (MODELS, PLATES, TAGS))
    outlines, published = _current(dataset, "outline"), _current(dataset, "text").filter(is_published())
    kept, segments = _current(dataset, "pruning"), _current(dataset, "segmentation")
    judged = judged_segments(segments, tags)
    texts = without_rejected_segments(with_people(published, tags), kept, judged, models)
    chosen = outlines.filter(pl.col("segmenter") == segmenter)
    has_polygons = not chosen.is_empty()
    segmenters = models.filter(pl.col("role") == "segmentation")["instrument"]
    if not has_polygons and (texts.is_empty() or segmenter not in segmenters):
        raise FileNotFoundError(no_polygons(dataset, segmenter))
    rejected_texts = published.height - texts.height
    standing = chosen.join(judged.filter(judgement="rejected"), on=MASK, how="anti")
    rejected_regions, chosen = chosen.height - standing.height, standing
    left_out: list[LeftOut] = []
    if commercial:
        for name, rows in (("regions", chosen), ("texts", texts)):
            of_usable = rows.join(withheld_plates(plates), on="plate_id", how="anti")
            left_out += count_left_out(name, withheld_rows(of_usable, models, plates), models)
        chosen, outlines, texts = (allowed_rows(rows, models, plates) for rows in (chosen, outlines, texts))
    return Publishable(
        regions=_described(dataset, chosen, kept, segments, judged),
        texts=with_outlines(texts, outlines, models).sort("plate_id", "instrument", "text_id"),
        left_out=left_out,
        has_polygons=has_polygons,
        plates=plates_left_out(dataset) if commercial else [],
        withdrawn=withdrawn_from({PLATES.name: plates, RUNS.name: read_ledger(dataset, RUNS)}),
        rejected_regions=rejected_regions,
        rejected_texts=rejected_texts,
    )


def _described(
    dataset: Dataset, outlines: pl.DataFrame, kept: pl.DataFrame, segments: pl.DataFrame, judged: pl.DataFrame
) -> pl.DataFrame:
    """Outlines with the verdicts, colours and classes of their segments, and what people corrected."""
    verdicts = kept.select(*MASK, "rank", "area_px", "area_ratio", "x_min", "y_min", "x_max", "y_max")
    colours = _current(dataset, "palette").select(*MASK, "palette", "luminance_mean", "paper_difference")
    classes = segments.rename({"instrument": "segmenter"}).select(*MASK, "class_name").unique(MASK)
    corrected = judged.filter(judgement="corrected").select(*MASK, "corrected", "judged_by")
    found = outlines.join(verdicts, on=MASK).join(colours, on=MASK, how="left").join(classes, on=MASK, how="left")
    return found.join(corrected, on=MASK, how="left").sort("plate_id", "rank")


def no_polygons(dataset: Dataset, segmenter: str) -> str:
    """Says that the ledgers have no polygons of a segmenter, and how to make them."""
    return (
        f"{dataset.ledger_dir}: no polygons of {segmenter}. Make them: "
        f"atlas run 'key:\"regions/{segmenter}/polygons\"', then atlas run @ledgers"
    )


def _published(row: dict[str, Any]) -> PublishedRegion:
    facts = {name: row[name] for name in FACTS}
    facts["palette"] = [colour["srgb_hex"] for colour in row["palette"] or []]
    return PublishedRegion(
        segment_id=row["segment_id"],
        polygons=json.loads(row["multipolygon"])["coordinates"],
        box=(row["x_min"], row["y_min"], row["x_max"], row["y_max"]),
        facts=facts,
        generator=f"{row['model_id']} at {row['model_sha']} ({row['instrument']})",
        corrected_class=row["corrected"],
        corrected_by=row["judged_by"],
    )


def export_regions(dataset: Dataset, folder: Path, found: Publishable, base_url: str) -> Iterator[WrittenPlate]:
    """Writes `<folder>/<plate_id>/` for every plate with regions or texts, each file atomically.

    At the end, `<folder>/collection.json` lists the manifests of these plates, and says what was left out.

    Args:
        dataset: the dataset.
        folder: folder to write to; created if missing.
        found: what is exported.
        base_url: address that the folder will be served under; IIIF identifies everything by address.

    Yields:
        Each plate once its files are written.

    Raises:
        ValueError: the folder is inside the dataset, the address is not http or https, or the ledgers are behind the
            withdrawals or tags.
    """
    require_outside(dataset, folder)
    require_present_entries(dataset)
    if not base_url.startswith(("http://", "https://")):
        raise ValueError(f"base address: expected one that starts with http:// or https://, found {base_url!r}")
    url, pages = base_url.rstrip("/"), []
    for plate_id in plates_of(found):
        regions, texts = (rows.filter(pl.col("plate_id") == plate_id) for rows in (found.regions, found.texts))
        written, page = _write_plate(dataset, folder / plate_id, f"{url}/{plate_id}", regions, texts)
        pages.append(page)
        yield written
    _write_json(folder / COLLECTION_NAME, iiif_collection(url, pages, found.sentences))


def plates_of(found: Publishable) -> list[str]:
    """The plates that are exported, by id."""
    return sorted({*found.regions["plate_id"], *found.texts["plate_id"]})


def earlier_plates(folder: Path, found: Publishable) -> list[Path]:
    """Folders of plates that an earlier export wrote and this one has not, such as those of withdrawn plates."""
    present = set(plates_of(found))
    return sorted(path.parent for path in folder.glob("*/manifest.json") if path.parent.name not in present)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_bytes_atomically(path, json.dumps(content, ensure_ascii=False, indent=1).encode())


def _write_plate(
    dataset: Dataset, here: Path, url: str, regions: pl.DataFrame, texts: pl.DataFrame
) -> tuple[WrittenPlate, PlatePage]:
    """Writes a plate's folder. Removes pages that an earlier export wrote there and this one has not."""
    plate = dataset.plate(here.name)
    manifest = plate.manifest()
    image = decode_source(plate).image  # upright, at full size, which the coordinates refer to
    page = PlatePage(
        plate_id=manifest.plate_id,
        title=manifest.title,
        width_px=image.width,
        height_px=image.height,
        url=url,
        licence=manifest.license,
        plate_number=manifest.plate_number,
        extra=manifest.extra,
    )
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    write_bytes_atomically(here / "image.jpg", buffer.getvalue())
    published = [_published(row) for row in regions.iter_rows(named=True)]
    pages = {REGIONS_NAME: annotation_page(page, published)} if published else {}
    pages |= text_pages(page, texts)
    files = {GEOJSON_NAME: feature_collection(page, published)} if published else {}
    files |= {**pages, "manifest.json": iiif_manifest(page, {name: one["label"] for name, one in pages.items()})}
    for name, content in files.items():
        _write_json(here / name, content)
    for name in {GEOJSON_NAME, REGIONS_NAME, *LABELS} - set(files):
        (here / name).unlink(missing_ok=True)
    lines_count = texts.filter(pl.col("form") == "transcription").height
    counts = len(published), lines_count, texts.height - lines_count
    return WrittenPlate(here.name, here / "manifest.json", *counts), page
