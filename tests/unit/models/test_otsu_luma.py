"""`otsu_luma` on rasters whose masks are known, and against scikit-image's own threshold and labels."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import label
from skimage.filters import threshold_otsu
from support.made_specs import project_spec
from support.real_plates import one_of_each_family, wants_real_plates

from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import resize
from atlas_resources.models.protocols import Mask, Segmenter
from atlas_resources.plates.decode import decode

PAPER, INK, BROWN = (240, 232, 215), (25, 25, 30), (110, 70, 40)
HEIGHT, WIDTH = 300, 400
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]


def segment(raster: np.ndarray, **parameters: Any) -> list[Mask]:
    spec = project_spec("otsu_luma")
    model = load_model(spec.model_copy(update={"parameters": {**spec.parameters, **parameters}}))
    assert isinstance(model, Segmenter)
    return model.segment(raster)


def disc(row: int, column: int, radius: int) -> np.ndarray:
    return (ROWS - row) ** 2 + (COLUMNS - column) ** 2 <= radius**2


def rectangle(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[rows, columns] = True
    return mask


BIG_DISC, SMALL_DISC, BOX = disc(80, 100, 50), disc(200, 320, 30), rectangle(slice(220, 280), slice(30, 130))


def drawn(**colour_of: tuple[int, int, int]) -> np.ndarray:
    """Two dark discs and a rectangle on paper."""
    raster = np.full((HEIGHT, WIDTH, 3), PAPER, dtype=np.uint8)
    for name, shape in (("big", BIG_DISC), ("small", SMALL_DISC), ("box", BOX)):
        raster[shape] = colour_of.get(name, INK)
    return raster


def same(masks: list[Mask], expected: list[np.ndarray]) -> bool:
    return len(masks) == len(expected) and all(
        np.array_equal(mask.pixels, pixels) for mask, pixels in zip(masks, expected, strict=True)
    )


def test_each_shape_is_a_mask_exactly_and_the_paper_is_the_rest():
    """Areas: the disc of radius 50 has 7845 pixels, the rectangle 60 x 100 = 6000, the disc of radius 30 has 2821."""
    masks = segment(drawn())
    assert same(masks, [BIG_DISC, BOX, SMALL_DISC, ~(BIG_DISC | BOX | SMALL_DISC)])
    assert [int(mask.pixels.sum()) for mask in masks] == [7845, 6000, 2821, 120_000 - 7845 - 6000 - 2821]
    assert [mask.class_name for mask in masks] == ["printed", "printed", "printed", "paper"]


def test_masks_are_bool_and_have_no_scores_of_their_own():
    for mask in segment(drawn()):
        assert (mask.pixels.dtype, mask.pixels.shape) == (np.bool_, (HEIGHT, WIDTH))
        assert (mask.predicted_iou, mask.stability_score) == (None, None)


def test_print_need_not_be_of_one_colour():
    """Otsu parts two darknesses (luma 25 and 76) from the paper (233), which lies further from both."""
    assert same(segment(drawn(big=BROWN)), [BIG_DISC, BOX, SMALL_DISC, ~(BIG_DISC | BOX | SMALL_DISC)])


def test_a_blank_raster_is_all_paper():
    (mask,) = segment(np.full((30, 40, 3), PAPER, dtype=np.uint8))
    assert mask.class_name == "paper"
    assert mask.pixels.all()


def test_colours_of_one_luma_have_no_threshold():
    """Rec. 709: 0.2126 * 100 rounds to 21, 0.7152 * 30 = 21.46 rounds to 21."""
    raster = np.zeros((10, 10, 3), dtype=np.uint8)
    raster[:, :5] = (100, 0, 0)
    raster[:, 5:] = (0, 30, 0)
    (mask,) = segment(raster)
    assert (mask.class_name, bool(mask.pixels.all())) == ("paper", True)


def test_pixels_that_touch_at_a_corner_are_one_region():
    raster = np.full((HEIGHT, WIDTH, 3), PAPER, dtype=np.uint8)
    both = rectangle(slice(10, 60), slice(10, 60)) | rectangle(slice(60, 110), slice(60, 110))
    raster[both] = INK
    assert same(segment(raster), [both, ~both])


@pytest.mark.parametrize(
    ("min_area_ratio", "kept"),
    [
        (2821 / 120_000, [BIG_DISC, BOX, SMALL_DISC]),  # as large as the floor is large enough
        (2822 / 120_000, [BIG_DISC, BOX]),
        (6001 / 120_000, [BIG_DISC]),
        (0.5, []),
    ],
)
def test_regions_under_the_floor_are_left_out(min_area_ratio: float, kept: list[np.ndarray]):
    """What is left out is not paper either: the paper is what lies above the threshold."""
    assert same(segment(drawn(), min_area_ratio=min_area_ratio), [*kept, ~(BIG_DISC | BOX | SMALL_DISC)])


@pytest.mark.parametrize("max_regions", [1, 2, 3])
def test_the_largest_are_kept(max_regions: int):
    kept = [BIG_DISC, BOX, SMALL_DISC][:max_regions]
    assert same(segment(drawn(), max_regions=max_regions), [*kept, ~(BIG_DISC | BOX | SMALL_DISC)])


def test_regions_of_one_size_are_in_order_of_place():
    raster = np.full((HEIGHT, WIDTH, 3), PAPER, dtype=np.uint8)
    boxes = [rectangle(slice(r, r + 20), slice(c, c + 20)) for r, c in ((10, 300), (100, 10), (100, 200))]
    for box in reversed(boxes):
        raster[box] = INK
    assert same(segment(raster), [*boxes, ~np.any(boxes, axis=0)])


def rec_709(raster: np.ndarray) -> np.ndarray:
    """Rec. 709 luma in integers, rounded half up."""
    return ((raster.astype(np.int64) @ np.array([2126, 7152, 722]) + 5000) // 10000).astype(np.uint8)


def assert_equal_to_references(raster: np.ndarray, parameters: dict[str, float]) -> None:
    """Otsu's threshold by scikit-image on integer luma, regions by SciPy. The loader uses neither."""
    luma = rec_709(raster)
    printed = luma <= threshold_otsu(luma)
    labels = np.zeros(luma.shape, dtype=np.int32)
    label(printed, structure=np.ones((3, 3)), output=labels)
    sizes = np.bincount(labels.ravel())[1:]
    large = sorted(sizes[sizes >= parameters["min_area_ratio"] * luma.size], reverse=True)
    masks = segment(raster, **parameters)
    assert np.array_equal(masks[-1].pixels, ~printed)
    assert [int(mask.pixels.sum()) for mask in masks[:-1]] == large[: int(parameters["max_regions"])]
    for mask in masks[:-1]:
        numbers = np.unique(labels[mask.pixels])
        assert len(numbers) == 1
        assert numbers[0] > 0


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(2, 24), st.integers(2, 24), st.just(3))))
def test_any_raster_is_parted_as_scikit_image_and_scipy_part_it(raster: np.ndarray):
    luma = rec_709(raster)
    if luma.min() < luma.max():
        assert_equal_to_references(raster, {"min_area_ratio": 0.01, "max_regions": 5})


@wants_real_plates
@pytest.mark.parametrize("path", one_of_each_family(), ids=lambda path: path.stem)
def test_real_plates_are_parted_as_scikit_image_and_scipy_part_them(path):
    spec = project_spec("otsu_luma")
    assert spec.preprocessing is not None
    working = np.asarray(resize(decode(path).image, spec.preprocessing))
    assert max(working.shape) == 1024
    assert_equal_to_references(working, {"min_area_ratio": 0.0005, "max_regions": 48})
