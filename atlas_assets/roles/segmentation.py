"""Segmentation: masks of a plate, mapped back to its source's pixels and measured."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from atlas_assets.pictures import mask_overlay
from atlas_assets.roles.contract import ContractBroken, declared_preprocessing, source_pixels
from atlas_resources.dataset import Dataset
from atlas_resources.inference import Mask, Segmenter
from atlas_resources.preprocessing import resize
from atlas_resources.runs import Measurement
from atlas_resources.specs import MasksOutput, Spec
from atlas_resources.upstream import SealedResult

PALETTE_COLOURS = 5  # per segment


@dataclass(frozen=True)
class WorkingRaster:
    """A plate as a segmenter sees it: uint8 sRGB [h, w, 3], and the size of the source it came from."""

    pixels: np.ndarray
    source_width_px: int
    source_height_px: int


class SegmentationWork:
    """Masks of a plate, mapped back to its source's pixels."""

    def __init__(self, spec: Spec, dataset: Dataset, load: Callable[[], Any]):
        self.spec = spec
        self.dataset = dataset
        self._load = load

    def load(self) -> None:
        """Loads the model."""
        self.model: Segmenter = self._load()

    def prepare(self, plate_id: str, upstream: SealedResult | None = None) -> WorkingRaster:
        """The declared working raster."""
        source = source_pixels(self.dataset, plate_id)
        working = resize(source, declared_preprocessing(self.spec))
        return WorkingRaster(np.asarray(working), *source.size)

    def measure(self, batch: list[WorkingRaster]) -> list[Measurement]:
        """One row a mask, ids in order of area, then position."""
        return [self._measure_one(raster) for raster in batch]

    def _measure_one(self, raster: WorkingRaster) -> Measurement:
        masks = [_require_mask(self.spec, mask, raster) for mask in self.model.segment(raster.pixels)]
        rows = [(row, mask) for mask in masks if (row := _segment_row(mask, raster)) is not None]
        rows.sort(key=lambda pair: (-pair[0]["area_px"], pair[0]["y_min"], pair[0]["x_min"], pair[0]["mask_sha256"]))
        for number, (row, _) in enumerate(rows, start=1):
            row["segment_id"] = f"mask-{number:04d}"
        covered = np.any([mask.pixels for _, mask in rows], axis=0) if rows else np.zeros(1, dtype=bool)
        metrics = {
            "segment_count": len(rows),
            "covered_ratio": float(np.mean(covered)),
            "largest_area_ratio": rows[0][0]["area_ratio"] if rows else 0.0,
        }
        shown = [mask.pixels for _, mask in rows if mask.class_name != "paper"]
        preview = mask_overlay(Image.fromarray(raster.pixels), shown)
        return Measurement(_segment_frame([row for row, _ in rows]), metrics, preview)


def _require_mask(spec: Spec, mask: Mask, raster: WorkingRaster) -> Mask:
    """The mask, if it is what the spec declares."""
    shape = raster.pixels.shape[:2]
    if mask.pixels.shape != shape or mask.pixels.dtype != np.bool_:
        found = f"{mask.pixels.dtype} {list(mask.pixels.shape)}"
        raise ContractBroken(f"{spec.key}: expected a mask of bool {list(shape)}, found {found}")
    classes = spec.output.classes if isinstance(spec.output, MasksOutput) else []
    if mask.class_name not in (classes or [None]):
        raise ContractBroken(f"{spec.key}: expected a class of {classes or 'none'}, found {mask.class_name!r}")
    for name, value in (("predicted_iou", mask.predicted_iou), ("stability_score", mask.stability_score)):
        if value is not None and not np.isfinite(value):
            raise ContractBroken(f"{spec.key}: expected a finite {name}, found {value}")
    return mask


def at_source_size(mask: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """A working mask bool [h, w] on the source's pixels [height_px, width_px]: each takes the nearest working pixel."""
    rows = (np.arange(height_px) * 2 + 1) * mask.shape[0] // (2 * height_px)
    columns = (np.arange(width_px) * 2 + 1) * mask.shape[1] // (2 * width_px)
    return mask[rows[:, None], columns[None, :]]


def _segment_row(mask: Mask, raster: WorkingRaster) -> dict[str, Any] | None:
    """What is measured of one mask; None for one that has no pixel at the source's size."""
    from atlas_assets.measures.census import (
        count_colours,
    )  # SciPy and scikit-image load slowly; the graph needs neither
    from atlas_assets.measures.palette import dominant_colours
    from atlas_assets.measures.segments import encode_mask, measure_mask

    source_mask = at_source_size(mask.pixels, raster.source_width_px, raster.source_height_px)
    if not source_mask.any():
        return None
    encoded = encode_mask(source_mask)
    shape = asdict(measure_mask(source_mask))
    return {
        **shape,
        "touches_border": shape["is_touching_border"],
        "class_name": mask.class_name,
        "mask_rle": encoded.counts,
        "mask_sha256": encoded.sha256,
        "height_px": encoded.height,
        "width_px": encoded.width,
        "predicted_iou": mask.predicted_iou,
        "stability_score": mask.stability_score,
        "palette": [
            asdict(colour) for colour in dominant_colours(count_colours(raster.pixels, mask.pixels), PALETTE_COLOURS)
        ],
    }


def _segment_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    from atlas_resources.tables import SEGMENT

    schema = {column.name: column.dtype for column in SEGMENT}
    return pl.DataFrame([{name: row[name] for name in schema} for row in rows], schema=schema)
