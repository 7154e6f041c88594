"""Masks of a working raster, mapped to the source's pixels: their place, their encoding and their order."""

import hashlib
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco
from support.made_specs import project_spec

from atlas_assets.roles.segmentation import SegmentationWork, WorkingRaster, in_proportion, part_on_source
from atlas_resources.instruments.spec.output import MasksOutput
from atlas_resources.measures.windows import bounding_box
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Mask
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.tables.result_columns import SEGMENT

PAPER, INK = (240, 232, 215), (25, 25, 30)

# pycocotools 2.0.11 predates the copy keyword of NumPy 2. It returns an array of its own, so no memory is shared.
decodes = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")


class GivesMasks:
    """A segmenter that returns fixed masks."""

    def __init__(self, masks: list[Mask]):
        self.masks = masks

    def segment(self, raster: np.ndarray) -> list[Mask]:
        return self.masks


def box(size: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """bool [H, W] of a size (height, width), True in a rectangle; ends are exclusive."""
    mask = np.zeros(size, dtype=bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def at_source_size(working: np.ndarray, width: int, height: int) -> np.ndarray:
    """A working mask, bool [h, w], mapped to the source's pixels, bool [height, width], as it is stored."""
    raster = WorkingRaster(np.zeros((*working.shape, 3), dtype=np.uint8), width, height)
    part = part_on_source(working, bounding_box(working), raster)
    whole = np.zeros((height, width), dtype=bool)
    if part is not None:
        rows, columns = part.pixels.shape
        whole[part.top : part.top + rows, part.left : part.left + columns] = part.pixels
    return whole


def work_of(model: object, dataset: Dataset | None = None) -> SegmentationWork:
    spec = project_spec("otsu_luma")
    if isinstance(model, GivesMasks):
        classes = sorted({mask.class_name for mask in model.masks if mask.class_name})
        spec = spec.model_copy(update={"output": MasksOutput(kind="masks", encoding="coco_rle", classes=classes)})
    work = SegmentationWork(spec, lambda: model)
    work.load()
    return work


def measure(masks: list[Mask], source: tuple[int, int] | None = None) -> Measurement:
    """Measures masks on a gradient raster of their size. `source` is (width, height), by default the raster's."""
    height, width = masks[0].pixels.shape if masks else (10, 20)
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    (found,) = work_of(GivesMasks(masks)).measure([WorkingRaster(pixels, *(source or (width, height)))])
    return found


@pytest.mark.parametrize(
    ("source", "rows", "columns"),
    [
        # The working mask is 30 x 40 (H x W), True in rows 10..19 and columns 4..11.
        ((40, 30), (10, 20), (4, 12)),  # ratio 1
        ((80, 60), (20, 40), (8, 24)),  # 2
        ((120, 90), (30, 60), (12, 36)),  # 3
        ((20, 15), (5, 10), (2, 6)),  # 1/2
        ((60, 45), (15, 30), (6, 18)),  # 3/2
        ((80, 30), (10, 20), (8, 24)),  # 2 across, 1 down
        # 40 -> 100: column i takes (2i + 1) * 40 // 200, so 4 begins at 2i + 1 >= 20, i = 10; 12 at >= 60, i = 30.
        ((100, 75), (25, 50), (10, 30)),
        # 40 -> 70: 4 begins at (2i + 1) * 40 >= 560, i = 7; 12 at >= 1680, i = 21.
        # 30 -> 53: 10 begins at (2i + 1) * 30 >= 1060, i = 18; 20 at >= 2120, i = 35.
        ((70, 53), (18, 35), (7, 21)),
    ],
)
def test_a_rectangle_is_mapped_to_its_place_on_the_source(
    source: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
):
    width, height = source
    working = box((30, 40), (10, 20), (4, 12))
    assert np.array_equal(at_source_size(working, width, height), box((height, width), rows, columns))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 150), st.integers(1, 150))
def test_each_source_pixel_takes_the_working_pixel_that_contains_its_centre(h: int, w: int, height: int, width: int):
    working = np.random.default_rng(h * 61 + w).random((h, w)) < 0.5
    expected = [
        [
            working[int((row + 0.5) * h / height + 1e-9), int((column + 0.5) * w / width + 1e-9)]
            for column in range(width)
        ]
        for row in range(height)
    ]
    assert np.array_equal(at_source_size(working, width, height), expected)


@pytest.mark.parametrize("size", [(1024, 768), (2048, 1536), (3072, 2304), (512, 384), (768, 1024)])
@decodes
def test_a_printed_rectangle_is_found_exactly_from_scan_to_row(size: tuple[int, int], tmp_path: Path):
    """Edges are at multiples of the ratio of source and working raster (longest side 1024), so no pixel is mixed."""
    width, height = size
    step = max(1, max(size) // 1024)
    printed = box((height, width), (40 * step, 200 * step), (24 * step, 240 * step))
    pixels = np.where(printed[..., None], INK, PAPER).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    dataset = Dataset(tmp_path / "atlas")
    (registration,) = register_scans(dataset, [tmp_path / "scan.png"])
    work = work_of(load_model(project_spec("otsu_luma")), dataset)
    (found,) = work.measure([work.prepare(dataset.plate(str(registration.plate_id)), None, Stopwatch())])
    row = found.rows.row(by_predicate=pl.col("class_name") == "printed", named=True)
    assert (row["height_px"], row["width_px"]) == (height, width)
    assert np.array_equal(decoded(row), printed)
    corners = [row[name] for name in ("x_min", "y_min", "x_max", "y_max")]
    assert corners == [24 * step, 40 * step, 240 * step, 200 * step]


def decoded(row: dict[str, Any]) -> np.ndarray:
    """The mask of a row, decoded by pycocotools alone."""
    return coco.decode({"size": [row["height_px"], row["width_px"]], "counts": row["mask_rle"]}).astype(bool)


@decodes
def test_run_lengths_digest_and_area_agree_with_the_mask():
    masks = [
        Mask.encode(box((30, 40), (10, 20), (4, 12)), "left"),
        Mask.encode(box((30, 40), (0, 30), (20, 40)), "right"),
    ]
    found = measure(masks, source=(80, 60))
    for row in found.rows.to_dicts():
        text = f"{row['height_px']}x{row['width_px']}:{row['mask_rle']}"
        assert row["mask_sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert row["area_px"] == np.count_nonzero(decoded(row))
        assert row["area_ratio"] == row["area_px"] / (60 * 80)
    assert found.rows["area_px"].to_list() == [60 * 40, 20 * 16]


def test_a_row_has_the_geometry_and_the_class_of_its_mask():
    """By hand: columns 4..11 and rows 10..19 of 40 x 30 are columns 8..23 and rows 20..39 of 80 x 60."""
    drawn = Mask.encode(box((30, 40), (10, 20), (4, 12)), "printed")
    mask = replace(drawn, predicted_iou=0.9, stability_score=0.8)
    found = measure([mask], source=(80, 60))
    (row,) = found.rows.drop("mask_rle", "mask_sha256", "palette").to_dicts()
    assert row == {
        "segment_id": "mask-0001",
        "class_id": None,
        "class_name": "printed",
        "height_px": 60,
        "width_px": 80,
        "x_min": 8,
        "y_min": 20,
        "x_max": 24,
        "y_max": 40,
        "area_px": 16 * 20,
        "area_ratio": 320 / 4800,
        "centroid_x": 16 / 80,
        "centroid_y": 30 / 60,
        "predicted_iou": 0.9,
        "stability_score": 0.8,
        "fragmentation_score": 0.0,
        "component_count": 1,
        "hole_count": 0,
        "solidity": 1.0,
        "touches_border": False,
    }
    assert found.rows.columns == [column.name for column in SEGMENT]
    assert found.metrics == {"segment_count": 1, "raster_covered_ratio": 80 / 1200, "largest_area_ratio": 320 / 4800}


def test_a_palette_is_computed_from_the_masks_own_pixels():
    """The raster's red increases to the right, so a mask of its first column is black."""
    (row,) = measure([Mask.encode(box((30, 40), (0, 30), (0, 1)))]).rows.to_dicts()
    assert [(colour["srgb_hex"], colour["share"]) for colour in row["palette"]] == [("#000000", 1.0)]


def test_ids_are_in_order_of_area_then_position_whatever_the_models_order():
    """Areas 100, 25, 25, 25. Of equal areas the upper comes first, then the left."""
    size = (30, 40)
    masks = [
        Mask.encode(box(size, (20, 30), (20, 30)), "large"),
        Mask.encode(box(size, (0, 5), (20, 25)), "upper"),
        Mask.encode(box(size, (10, 15), (0, 5)), "left"),
        Mask.encode(box(size, (10, 15), (20, 25)), "right"),
    ]
    expected = [("mask-0001", "large"), ("mask-0002", "upper"), ("mask-0003", "left"), ("mask-0004", "right")]
    first = measure(masks)
    for seed in range(5):
        shuffled = random.Random(seed).sample(masks, len(masks))
        found = measure(shuffled)
        assert found.rows.select("segment_id", "class_name").rows() == expected
        assert found.rows.equals(first.rows)


def test_masks_of_one_box_are_ordered_by_their_digest():
    """A diagonal and its mirror image have the same area and box. Their order must not depend on the model's."""
    one, other = np.eye(8, dtype=bool), np.eye(8, dtype=bool)[::-1]
    there, back = measure([Mask.encode(one), Mask.encode(other)]), measure([Mask.encode(other), Mask.encode(one)])
    assert there.rows.equals(back.rows)
    digests = there.rows["mask_sha256"].to_list()
    assert digests == sorted(digests)


def test_empty_masks_are_left_out():
    found = measure([Mask.encode(np.zeros((30, 40), dtype=bool)), Mask.encode(box((30, 40), (0, 5), (0, 5)))])
    assert found.rows["segment_id"].to_list() == ["mask-0001"]


def test_a_plate_without_masks_has_no_rows_and_the_same_columns():
    found = measure([])
    assert found.rows.height == 0
    assert found.rows.columns == [column.name for column in SEGMENT]
    assert found.metrics == {"segment_count": 0, "raster_covered_ratio": 0.0, "largest_area_ratio": 0.0}


def test_the_covered_ratio_counts_each_pixel_once():
    """Two overlapping halves of 30 x 40: columns 0..24 and 15..39 cover the whole raster."""
    found = measure([Mask.encode(box((30, 40), (0, 30), (0, 25))), Mask.encode(box((30, 40), (0, 30), (15, 40)))])
    assert found.metrics["raster_covered_ratio"] == 1.0


@pytest.mark.parametrize(
    ("working", "source", "seen"),
    [((320, 320), (2000, 1000), (320, 160)), ((320, 320), (900, 2700), (107, 320)), ((1024, 683), (3000, 2000), None)],
)
def test_a_preview_has_the_proportions_of_the_source(
    working: tuple[int, int], source: tuple[int, int], seen: tuple[int, int] | None
):
    """Width and height. Squashed to a square it is drawn as wide as it was; otherwise it is left as it is."""
    raster = WorkingRaster(np.zeros((working[1], working[0], 3), dtype=np.uint8), *source)
    assert in_proportion(raster).size == (seen or working)
