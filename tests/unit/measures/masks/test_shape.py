"""Shape and agreement of masks: closed forms for disc, ring and rectangle, references for the rest."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial import ConvexHull
from skimage.measure import euler_number, label, regionprops

from atlas_resources.measures.masks.shape import MaskMeasures, intersection_over_union, measure_part, part_of

MASKS = hnp.arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def measures_of(mask: np.ndarray) -> MaskMeasures:
    return measure_part(part_of(mask))


def disc(size: int, centre_x: float, centre_y: float, radius: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size] + 0.5
    return (x - centre_x) ** 2 + (y - centre_y) ** 2 <= radius**2


def test_a_rectangle():
    mask = np.zeros((10, 20), bool)
    mask[2:5, 4:14] = True
    assert measures_of(mask) == MaskMeasures(
        area_px=30,
        area_ratio=0.15,
        x_min=4,
        y_min=2,
        x_max=14,
        y_max=5,
        centroid_x=0.45,  # (4 + 14) / 2 / 20
        centroid_y=0.35,  # (2 + 5) / 2 / 10
        component_count=1,
        fragmentation_score=0,
        hole_count=0,
        solidity=1,
        is_touching_border=False,
    )


def test_a_disc():
    measures = measures_of(disc(400, centre_x=180, centre_y=220, radius=100))
    # Gauss' circle problem: the pixels differ from pi r ** 2 by less than 2 sqrt(2) pi r.
    assert abs(measures.area_px - math.pi * 100**2) < 2 * math.sqrt(2) * math.pi * 100
    assert (measures.x_min, measures.x_max, measures.y_min, measures.y_max) == (80, 280, 120, 320)
    assert (measures.centroid_x, measures.centroid_y) == pytest.approx((180 / 400, 220 / 400))
    assert (measures.component_count, measures.hole_count, measures.fragmentation_score) == (1, 0, 0)


def test_a_ring_has_a_hole_and_its_centroid_in_it():
    ring = disc(200, 100, 100, 80) & ~disc(200, 100, 100, 40)
    measures = measures_of(ring)
    assert (measures.component_count, measures.hole_count) == (1, 1)
    assert (measures.centroid_x, measures.centroid_y) == pytest.approx((0.5, 0.5))
    assert measures.area_px == pytest.approx(math.pi * (80**2 - 40**2), rel=0.01)


def test_fragments_are_the_pixels_outside_the_largest_piece():
    mask = np.array(
        [
            [1, 1, 1, 0, 0, 1],
            [1, 1, 1, 0, 0, 0],
            [0, 0, 0, 1, 0, 0],
            [0, 0, 0, 0, 0, 1],
        ],
        bool,
    )
    measures = measures_of(mask)
    # 7 pixels are connected (the seventh by its corner), two are apart: 1 - 7 / 9
    assert measures.component_count == 3
    assert measures.fragmentation_score == pytest.approx(2 / 9)


def test_a_diagonal_closes_a_hole():
    # Pixels that touch at corners are connected, so they enclose the background between them.
    mask = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
    measures = measures_of(mask)
    assert (measures.component_count, measures.hole_count) == (1, 1)


@pytest.mark.parametrize(
    ("row", "column", "is_touching"), [(0, 3, True), (3, 0, True), (6, 3, True), (3, 6, True), (1, 5, False)]
)
def test_a_segment_touches_the_border_with_its_outermost_pixel(row: int, column: int, is_touching: bool):
    mask = np.zeros((7, 7), bool)
    mask[row, column] = True
    assert measures_of(mask).is_touching_border is is_touching


@given(MASKS)
def test_measures_are_what_scikit_image_computes(mask: np.ndarray):
    assume(mask.any())
    measures = measures_of(mask)
    (region,) = regionprops(mask.astype(np.uint8))
    assert measures.area_px == region.area
    assert (measures.y_min, measures.x_min, measures.y_max, measures.x_max) == region.bbox
    centroid = (measures.centroid_y * mask.shape[0] - 0.5, measures.centroid_x * mask.shape[1] - 0.5)
    assert centroid == pytest.approx(region.centroid)
    pieces = np.asarray(label(mask, connectivity=2))
    assert measures.component_count == pieces.max()
    assert measures.component_count - measures.hole_count == euler_number(mask, connectivity=2)
    assert measures.fragmentation_score == pytest.approx(1 - np.bincount(pieces.ravel())[1:].max() / mask.sum())


@given(MASKS)
def test_the_centroid_lies_in_the_box(mask: np.ndarray):
    assume(mask.any())
    measures = measures_of(mask)
    assert measures.x_min < measures.centroid_x * mask.shape[1] < measures.x_max
    assert measures.y_min < measures.centroid_y * mask.shape[0] < measures.y_max


def test_a_rectangle_fills_its_hull():
    for size in ((1, 1), (1, 9), (7, 1), (5, 8)):
        assert measures_of(np.ones(size, bool)).solidity == pytest.approx(1)


def test_a_corner_fills_six_sevenths_of_its_hull():
    """Three squares of side a in an L: 3 a ** 2 of a hull that lacks half a square of 4 a ** 2."""
    for side in (1, 5, 40):
        corner = np.ones((2 * side, 2 * side), bool)
        corner[:side, side:] = False
        assert measures_of(corner).solidity == pytest.approx(6 / 7)


def test_two_dots_fill_little_of_their_hull():
    """The hull of two unit squares at the ends of a row of n is the row."""
    dots = np.zeros((1, 10), bool)
    dots[0, [0, 9]] = True
    assert measures_of(dots).solidity == pytest.approx(2 / 10)


def test_a_disc_is_solid_and_a_ring_is_what_its_hole_leaves():
    """The hull is within a pixel of the circle, so its area is within 2 / r."""
    whole, hole = disc(400, 200, 200, 150), disc(400, 200, 200, 90)
    assert 1 - 2 / 150 < measures_of(whole).solidity < 1
    ratio = measures_of(whole & ~hole).solidity / measures_of(whole).solidity
    assert ratio == pytest.approx(1 - hole.sum() / whole.sum())
    assert ratio == pytest.approx(1 - 90**2 / 150**2, abs=0.002)


@given(MASKS)
def test_the_hull_is_that_of_every_pixels_square(mask: np.ndarray):
    """Against the hull of all corners of all pixels, by its shoelace formula."""
    assume(mask.any())
    rows, columns = np.nonzero(mask)
    corners = np.concatenate([np.stack([rows + down, columns + across], 1) for down in (0, 1) for across in (0, 1)])
    y, x = corners[ConvexHull(corners).vertices].T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert measures_of(mask).solidity == pytest.approx(mask.sum() / area)


def test_intersection_over_union_of_overlapping_squares():
    one, other = np.zeros((2, 10, 10), bool)
    one[0:4, 0:4] = True
    other[2:6, 2:6] = True
    # 4 in both, 16 + 16 - 4 in either
    assert intersection_over_union(one, other) == 4 / 28
    assert intersection_over_union(one, one) == 1
    assert intersection_over_union(one, ~one) == 0


def test_two_empty_masks_overlap_by_nothing():
    empty = np.zeros((3, 4), bool)
    assert intersection_over_union(empty, empty) == 0


def test_masks_of_two_shapes_have_no_intersection_over_union():
    empty = np.zeros((3, 4), bool)
    with pytest.raises(ValueError, match=r"found \[3, 4\] and \[4, 3\]"):
        intersection_over_union(empty, empty.T)


def test_a_segment_is_a_mask_with_at_least_one_pixel():
    empty = np.zeros((3, 4), bool)
    with pytest.raises(ValueError, match=r"at least one pixel, found an empty mask \[3, 4\]"):
        part_of(empty)
    with pytest.raises(ValueError, match=r"bool \[H, W\], found uint8 \[3, 4\]"):
        part_of(empty.astype(np.uint8))  # pyright: ignore[reportArgumentType]


@given(MASKS)
def test_a_mask_in_column_order_has_the_same_measures(mask: np.ndarray):
    """Decoded masks are stored column by column."""
    assume(mask.any())
    assert measures_of(np.asfortranarray(mask)) == measures_of(mask)
