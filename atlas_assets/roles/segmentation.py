"""Segmentation: masks of a plate, mapped back to its source's pixels and measured one at a time."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from atlas_assets.roles.declared import ContractBroken, declared_preprocessing, source_pixels
from atlas_assets.roles.segment_tiles import segment_tiles
from atlas_assets.ui.masks import mask_overlay
from atlas_resources.instruments.spec.output import MasksOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.palette import dominant_colours
from atlas_resources.measures.masks import run_lengths
from atlas_resources.measures.masks.shape import Part, measure_part, part_of
from atlas_resources.measures.windows import bounding_box
from atlas_resources.models.preprocessing import resize
from atlas_resources.models.protocols import Mask, Segmenter
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult
from atlas_resources.tables.result_columns import SEGMENT
from atlas_resources.tables.table import frame_of

PALETTE_COLOURS = 5  # per segment
PREVIEW_SIDE_PX = 320


@dataclass(frozen=True)
class WorkingRaster:
    """A segmenter's input, uint8 sRGB [h, w, 3], and the size of its source in pixels."""

    pixels: np.ndarray
    source_width_px: int
    source_height_px: int

    @cached_property
    def row_of(self) -> np.ndarray:
        """int64 [source_height_px]: the working row that contains the centre of each source row."""
        return _nearest(self.pixels.shape[0], self.source_height_px)

    @cached_property
    def column_of(self) -> np.ndarray:
        """int64 [source_width_px]: the working column that contains the centre of each source column."""
        return _nearest(self.pixels.shape[1], self.source_width_px)


class SegmentationWork:
    """Masks of a plate, mapped back to its source's pixels."""

    def __init__(self, spec: Spec, load: Callable[[], Any]):
        self.spec = spec
        self._load = load

    def load(self) -> None:
        """Loads the model."""
        self.model: Segmenter = self._load()

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> WorkingRaster:
        """The plate resized to the declared working raster."""
        source = source_pixels(plate, stopwatch)
        working = resize(source, declared_preprocessing(self.spec))
        return WorkingRaster(np.asarray(working), *source.size)

    def measure(self, batch: list[WorkingRaster]) -> list[Measurement]:
        """One row per mask. Ids are in order of decreasing area, then of position."""
        return [self._measure_one(raster) for raster in batch]

    def _measure_one(self, raster: WorkingRaster) -> Measurement:
        tiling = declared_preprocessing(self.spec).tiling
        masks = segment_tiles(self.model, raster.pixels, tiling) if tiling else self.model.segment(raster.pixels)
        covered = np.zeros(raster.pixels.shape[:2], dtype=bool)
        found = []
        for mask in masks:
            row = _segment_row(_require_mask(self.spec, mask, raster), raster, covered)
            if row is not None:
                found.append((row, mask))
        found.sort(key=lambda pair: (-pair[0]["area_px"], pair[0]["y_min"], pair[0]["x_min"], pair[0]["mask_sha256"]))
        for number, (row, _) in enumerate(found, start=1):
            row["segment_id"] = f"mask-{number:04d}"
        rows = [row for row, _ in found]
        metrics = {
            "segment_count": len(rows),
            "raster_covered_ratio": float(np.mean(covered)),
            "largest_area_ratio": rows[0]["area_ratio"] if rows else 0.0,
        }
        # Numbers are those of the ids, so the paper keeps its number although it is not outlined.
        shown = [(number, mask) for number, (_, mask) in enumerate(found, start=1) if mask.class_name != "paper"]
        preview = mask_overlay(
            in_proportion(raster),
            (mask.pixels for _, mask in shown),
            PREVIEW_SIDE_PX,
            [number for number, _ in shown],
        )
        return Measurement(frame_of(SEGMENT, rows), metrics, preview)


def in_proportion(raster: WorkingRaster) -> Image.Image:
    """The working raster in the proportions of its source, where the declared resize changes them."""
    image = Image.fromarray(raster.pixels)
    scale = max(image.size) / max(raster.source_width_px, raster.source_height_px)
    size = max(1, round(raster.source_width_px * scale)), max(1, round(raster.source_height_px * scale))
    is_in_proportion = all(abs(side - wanted) <= 1 for side, wanted in zip(image.size, size, strict=True))
    return image if is_in_proportion else image.resize(size, Image.Resampling.BILINEAR)


def _require_mask(spec: Spec, mask: Mask, raster: WorkingRaster) -> Mask:
    """Returns the mask. Raises ContractBroken unless size, class and scores are as declared."""
    shape = raster.pixels.shape[:2]
    if (mask.height_px, mask.width_px) != shape:
        raise ContractBroken(f"{spec.key}: expected a mask of {list(shape)}, found {[mask.height_px, mask.width_px]}")
    output = spec.output if isinstance(spec.output, MasksOutput) else None
    if output and output.vocabulary:
        if mask.class_id is None or mask.class_name is None:
            found = f"class {mask.class_id}, {mask.class_name!r}"
            raise ContractBroken(f"{spec.key}: expected id and name of a class of {output.vocabulary}, found {found}")
    elif mask.class_name not in ((output and output.classes) or [None]):
        classes = (output and output.classes) or "none"
        raise ContractBroken(f"{spec.key}: expected a class of {classes}, found {mask.class_name!r}")
    for name, value in (("predicted_iou", mask.predicted_iou), ("stability_score", mask.stability_score)):
        if value is not None and not np.isfinite(value):
            raise ContractBroken(f"{spec.key}: expected a finite {name}, found {value}")
    return mask


def _nearest(working_px: int, source_px: int) -> np.ndarray:
    """Index, along one side, of the working pixel that contains the centre of each source pixel: int64 [source_px]."""
    return (np.arange(source_px) * 2 + 1) * working_px // (2 * source_px)


def _segment_row(mask: Mask, raster: WorkingRaster, covered: np.ndarray) -> dict[str, Any] | None:
    """The row of one mask, or None if it has no pixel at the source's size. Sets its pixels in `covered`.

    Only this function decodes the mask, and it reads only the mask's bounding box.
    """
    pixels = mask.pixels
    box = bounding_box(pixels)
    part = part_on_source(pixels, box, raster)
    if part is None:
        return None
    covered[box] |= pixels[box]
    size = part.height, part.width
    counts = run_lengths.encode_part(part.pixels, part.top, part.left, *size)
    shape = asdict(measure_part(part))
    colours = dominant_colours(count_colours(raster.pixels[box], pixels[box]), PALETTE_COLOURS)
    return {
        **shape,
        "touches_border": shape["is_touching_border"],
        "class_id": mask.class_id,
        "class_name": mask.class_name,
        "mask_rle": counts,
        "mask_sha256": run_lengths.mask_sha256(counts, *size),
        "height_px": part.height,
        "width_px": part.width,
        "predicted_iou": mask.predicted_iou,
        "stability_score": mask.stability_score,
        "palette": [asdict(colour) for colour in colours],
    }


def part_on_source(pixels: np.ndarray, box: tuple[slice, slice], raster: WorkingRaster) -> Any:
    """Maps a working mask to the source's pixels. Each source pixel takes the nearest working pixel.

    Args:
        pixels: bool [h, w], on the working raster.
        box: rows and columns of the smallest box around its True pixels.
        raster: the working raster.

    Returns:
        The mask at the source's size as a `Part`, or None if no source pixel is True.
    """
    rows, columns = (
        slice(*np.searchsorted(nearest, (side.start, side.stop)).tolist())
        for nearest, side in ((raster.row_of, box[0]), (raster.column_of, box[1]))
    )
    on_source = pixels[raster.row_of[rows, None], raster.column_of[None, columns]]
    if not on_source.any():
        return None
    tight = part_of(on_source)
    size = (raster.source_height_px, raster.source_width_px)
    return Part(tight.pixels, rows.start + tight.top, columns.start + tight.left, *size)
