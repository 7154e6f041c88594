"""Masks of a working raster on the source's pixels: where they lie, how they are stored, in which order."""

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

from atlas_assets.roles.segmentation import SegmentationWork, WorkingRaster, part_on_source
from atlas_resources.instruments.spec.output import MasksOutput
from atlas_resources.measures.windows import bounding_box
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Mask
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.sealing import Measurement
from atlas_resources.tables.result_columns import SEGMENT

PAPER, INK = (240, 232, 215), (25, 25, 30)

# pycocotools 2.0.11 predates the copy keyword of NumPy 2; the array it hands over is its own, so nothing is shared.
decodes = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")


class GivesMasks:
    """A segmenter that gives what it is told to."""

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
    """A working mask bool [h, w] on the source's pixels [height, width], as it is measured and stored."""
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
    """Masks of a gradient raster of their size; `source` is width and height of the source, by default the raster's."""
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
def test_a_rectangle_lies_where_it_was_drawn(source: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]):
    width, height = source
    working = box((30, 40), (10, 20), (4, 12))
    assert np.array_equal(at_source_size(working, width, height), box((height, width), rows, columns))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 150), st.integers(1, 150))
def test_each_source_pixel_takes_the_working_pixel_its_centre_lies_in(h: int, w: int, height: int, width: int):
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
def test_a_printed_rectangle_comes_back_exactly_through_the_whole_way(size: tuple[int, int], tmp_path: Path):
    """Sides at whole multiples of the ratio of source and working raster (longest side 1024), so no pixel is mixed."""
    width, height = size
    step = max(1, max(size) // 1024)
    printed = box((height, width), (40 * step, 200 * step), (24 * step, 240 * step))
    pixels = np.where(printed[..., None], INK, PAPER).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    dataset = Dataset(tmp_path / "atlas")
    (registration,) = register_scans(dataset, [tmp_path / "scan.png"])
    work = work_of(load_model(project_spec("otsu_luma")), dataset)
    (found,) = work.measure([work.prepare(dataset.plate(str(registration.plate_id)))])
    row = found.rows.row(by_predicate=pl.col("class_name") == "printed", named=True)
    assert (row["height_px"], row["width_px"]) == (height, width)
    assert np.array_equal(decoded(row), printed)
    corners = [row[name] for name in ("x_min", "y_min", "x_max", "y_max")]
    assert corners == [24 * step, 40 * step, 240 * step, 200 * step]


def decoded(row: dict[str, Any]) -> np.ndarray:
    """The mask in a row, by pycocotools alone."""
    return coco.decode({"size": [row["height_px"], row["width_px"]], "counts": row["mask_rle"]}).astype(bool)


@decodes
def test_the_run_lengths_are_the_mask_its_area_and_its_digest():
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


def test_a_row_says_where_and_what_the_mask_is():
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
    assert found.metrics == {"segment_count": 1, "covered_ratio": 80 / 1200, "largest_area_ratio": 320 / 4800}


def test_a_palette_is_of_the_masks_own_pixels():
    """The raster's red grows to the right: a mask of its first column alone is black."""
    (row,) = measure([Mask.encode(box((30, 40), (0, 30), (0, 1)))]).rows.to_dicts()
    assert [(colour["srgb_hex"], colour["share"]) for colour in row["palette"]] == [("#000000", 1.0)]


def test_ids_go_by_area_then_by_place_whatever_the_models_order():
    """Areas 100, 25, 25, 25; of those that are alike the upper comes first, then the left."""
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
    """A diagonal and its mirror have one area and one box; their order must not hang on the model's."""
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
    assert found.metrics == {"segment_count": 0, "covered_ratio": 0.0, "largest_area_ratio": 0.0}


def test_covered_is_what_any_mask_covers_once():
    """Two overlapping halves of 30 x 40: columns 0..24 and 15..39 cover everything."""
    found = measure([Mask.encode(box((30, 40), (0, 30), (0, 25))), Mask.encode(box((30, 40), (0, 30), (15, 40)))])
    assert found.metrics["covered_ratio"] == 1.0
