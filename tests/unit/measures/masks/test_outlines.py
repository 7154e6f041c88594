"""Polygons of masks: closed forms for squares, discs and rings, and what any mask must give."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atlas_resources.measures.masks.outlines import Outline, fill_outline, trace_outline
from atlas_resources.measures.masks.shape import intersection_over_union, measure_part, part_of

ROWS, COLUMNS = np.mgrid[:400, :500] + 0.5
MASKS = hnp.arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.booleans()).filter(np.any)


def _disc(radius_px: float) -> np.ndarray:
    return np.hypot(ROWS - 200, COLUMNS - 250) < radius_px


def test_a_rectangle_is_its_own_outline_but_for_half_a_pixel_at_each_corner():
    mask = np.zeros((40, 50), bool)
    mask[5:15, 7:27] = True
    found = trace_outline(mask, 0)
    assert found.shape.bounds == (7, 5, 27, 15)
    # Four corners, each less a triangle of 0.5 x 0.5 / 2
    assert found.shape.area == 200 - 4 * 0.125
    assert (found.vertex_count, found.hole_count, found.reprojected_iou) == (8, 0, 1)


@pytest.mark.parametrize(("tolerance_px", "worst_iou"), [(0, 1.0), (0.5, 0.995), (1, 0.99), (2, 0.98)])
def test_a_ring_has_the_area_of_a_ring_within_its_tolerance(tolerance_px: float, worst_iou: float):
    found = trace_outline(_disc(150) & ~_disc(60), tolerance_px)
    # A band of the tolerance's width along both circles
    assert found.shape.area == pytest.approx(
        math.pi * (150**2 - 60**2), abs=2 * math.pi * (150 + 60) * (tolerance_px + 0.2)
    )
    assert found.hole_count == 1
    assert found.reprojected_iou >= worst_iou
    contour = trace_outline(_disc(150) & ~_disc(60), 0).shape
    assert shapely.hausdorff_distance(found.shape, contour) <= 1.5 * tolerance_px


def test_a_coarser_outline_has_fewer_corners():
    counts = [trace_outline(_disc(150), tolerance_px).vertex_count for tolerance_px in (0, 0.5, 1, 4)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 4 * counts[2] > 0


def test_an_island_in_a_hole_is_a_piece_of_its_own():
    found = trace_outline(_disc(150) & ~_disc(60) | _disc(20), 1)
    assert (len(found.shape.geoms), found.hole_count) == (2, 1)
    assert not found.shape.contains(shapely.Point(250 + 40, 200))
    assert found.shape.contains(shapely.Point(250, 200))


def test_exteriors_run_counterclockwise_by_the_numbers_and_holes_the_other_way():
    (polygon,) = trace_outline(_disc(150) & ~_disc(60), 1).shape.geoms
    assert polygon.exterior.is_ccw
    assert not polygon.interiors[0].is_ccw


def test_dust_and_pinholes_are_left_out_and_counted():
    mask = _disc(150)
    mask[200, 250] = False
    mask[0, 0] = True
    whole, clean = trace_outline(mask, 0), trace_outline(mask, 0, min_ring_area_px=4)
    assert (len(whole.shape.geoms), whole.hole_count, whole.left_out_px) == (2, 1, 0)
    # A lone pixel is a diamond of half its area; so is a pinhole
    assert (len(clean.shape.geoms), clean.hole_count, clean.left_out_px) == (1, 0, 1.0)


def test_the_largest_ring_stays_however_small():
    mask = np.zeros((9, 9), bool)
    mask[2, 3] = mask[6, 6] = mask[6, 7] = True
    found = trace_outline(mask, 0, min_ring_area_px=100)
    assert found.shape.bounds == (6, 6, 8, 7)


@given(MASKS)
def test_without_tolerance_every_pixel_comes_back(mask: np.ndarray):
    found = trace_outline(mask, 0)
    np.testing.assert_array_equal(fill_outline(found.shape, *mask.shape), mask)
    assert found.reprojected_iou == 1
    measures = measure_part(part_of(mask))
    assert (len(found.shape.geoms), found.hole_count) == (measures.component_count, measures.hole_count)


@given(MASKS, st.floats(0, 4), st.floats(0, 6))
def test_it_is_valid_and_says_how_far_it_is(mask: np.ndarray, tolerance_px: float, least_px: float):
    found: Outline = trace_outline(mask, tolerance_px, least_px)
    assert found.shape.is_valid
    assert found.area_error_ratio == pytest.approx(found.shape.area / mask.sum() - 1)
    filled = fill_outline(found.shape, *mask.shape)
    assert found.reprojected_iou == pytest.approx(intersection_over_union(filled, mask), abs=1e-12)


@given(MASKS, st.floats(0, 4))
def test_a_mask_in_column_order_has_the_same_outline(mask: np.ndarray, tolerance_px: float):
    """Decoded masks are stored column by column."""
    assert trace_outline(np.asfortranarray(mask), tolerance_px) == trace_outline(mask, tolerance_px)


def test_filling_takes_centres_as_a_geometry_library_does():
    triangle = shapely.MultiPolygon([shapely.Polygon([(1.2, 1.1), (9.3, 2.7), (4.4, 8.9)])])
    centres = shapely.points(*(np.mgrid[:10, :10][::-1] + 0.5))
    np.testing.assert_array_equal(fill_outline(triangle, 10, 10), shapely.contains(triangle, centres))


def _comb() -> np.ndarray:
    """Teeth of 1 px, 3 px apart, on a bar: a tolerance of 8 px loses most of them."""
    mask = np.zeros((40, 122), bool)
    mask[30:] = True
    mask[:, ::3] = True
    return mask


def test_the_tolerance_is_halved_until_the_polygons_agree_with_the_mask():
    mask = _comb()
    assert trace_outline(mask, 8).reprojected_iou < 0.8
    found = trace_outline(mask, 8, min_reprojected_iou=0.9)
    assert found.reprojected_iou >= 0.9
    assert found.tolerance_px in (4, 2, 1, 0.5, 0)
    assert found == trace_outline(mask, found.tolerance_px)
    assert found.tolerance_px == 0 or trace_outline(mask, 2 * found.tolerance_px).reprojected_iou < 0.9


def test_small_rings_that_are_needed_for_the_agreement_are_drawn():
    """48 lone pixels beside a bar of 40: without them the agreement is below 40 / 88."""
    mask = np.zeros((12, 42), bool)
    mask[0, 1:41] = True
    mask[4::2, 1::4] = True
    assert trace_outline(mask, 0, 16).reprojected_iou < 0.5
    assert trace_outline(mask, 0, 16, 0.99).left_out_px == 0


@given(MASKS, st.floats(0, 4), st.floats(0, 6), st.floats(0, 1))
def test_the_agreement_asked_for_is_always_reached(mask: np.ndarray, tolerance_px: float, least_px: float, iou: float):
    assert trace_outline(mask, tolerance_px, least_px, iou).reprojected_iou >= iou


def test_an_empty_mask_has_no_outline():
    with pytest.raises(ValueError, match="at least one pixel"):
        trace_outline(np.zeros((4, 4), bool), 1)
