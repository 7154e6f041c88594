"""The 3-D histogram over CIE L*a*b*: the box of a colour, and that no colour is lost."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.lab import HISTOGRAM_GRID, LabGrid, lab_histogram, mean_lab


def box_of_colour(*rgb: int) -> tuple[int, ...]:
    histogram = lab_histogram(count_colours(np.array([[rgb]], np.uint8)))
    counts = np.array(histogram.counts).reshape(histogram.bins)
    assert counts.sum() == 1
    return tuple(int(index[0]) for index in np.nonzero(counts))


def test_lab_of_the_primaries():
    lab = count_colours(np.array([[(0, 0, 255), (255, 0, 0), (255, 255, 255)]], np.uint8)).lab
    # XYZ of the primaries are the columns of the matrix in IEC 61966-2-1; with f = cube root of XYZ over white
    # (0.9505, 1, 1.089), L* = 116 fY - 16, a* = 500 (fX - fY), b* = 200 (fY - fZ).
    xyz = np.array([(0.1805, 0.0722, 0.9505), (0.4124, 0.2126, 0.0193), (0.9505, 1, 1.089)])
    fx, fy, fz = np.cbrt(xyz / (0.9505, 1, 1.089)).T
    expected = np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=1)
    np.testing.assert_allclose(lab, expected, atol=0.05)


def test_boxes_lie_in_l_a_b_order():
    # Black: L 0 is box 0; a 0 is box 5 of -88 + 16 k (-8..8); b 0 is box 13 of -108 + 8 k (-4..4).
    assert box_of_colour(0, 0, 0) == (0, 5, 13)
    # Red, 53.24 80.09 67.20: floor(53.24 / 5) = 10; floor(168.09 / 16) = 10; floor(175.20 / 8) = 21
    assert box_of_colour(255, 0, 0) == (10, 10, 21)
    # White: L 100 is the upper edge, which belongs to the last box.
    assert box_of_colour(255, 255, 255) == (19, 5, 13)


def test_papers_from_white_to_browned_are_in_different_boxes():
    papers = [(252, 251, 249), (246, 241, 228), (240, 228, 202), (225, 205, 165), (196, 170, 125)]
    assert len({box_of_colour(*paper) for paper in papers}) == len(papers)


def test_greys_stay_in_the_middle_column():
    assert {box_of_colour(level, level, level)[1:] for level in range(256)} == {(5, 13)}


def test_no_colour_of_srgb_lies_beyond_the_grid():
    # The hull of the gamut in Lab is reached on the faces of the RGB cube.
    levels = range(0, 256, 15)
    faces = [rgb for rgb in itertools.product(levels, repeat=3) if {0, 255} & set(rgb)]
    lab = count_colours(np.array([faces], np.uint8)).lab
    ranges = (HISTOGRAM_GRID.l_range, HISTOGRAM_GRID.a_range, HISTOGRAM_GRID.b_range)
    for axis, (low, high) in enumerate(ranges):
        assert low <= lab[:, axis].min()
        assert lab[:, axis].max() <= high


def test_a_colour_beyond_a_range_lies_in_the_end_box():
    grid = LabGrid(bins=(2, 2, 2), l_range=(0, 100), a_range=(-10, 10), b_range=(-10, 10))
    assert grid.box_of(np.array([[0.0, -50, 50], [100.0, 50, -50], [49.9, 0, 0]])).tolist() == [1, 6, 3]


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
def test_counts_sum_to_the_pixels(rgb: np.ndarray):
    histogram = lab_histogram(count_colours(rgb))
    assert sum(histogram.counts) == rgb.shape[0] * rgb.shape[1]
    assert len(histogram.counts) == HISTOGRAM_GRID.size == 6240


def test_the_mean_weighs_by_pixels():
    # (3 * 20 + 1 * 60) / 4 = 30; (3 * 4 - 8) / 4 = 1; (3 * 0 + 2) / 4 = 0.5
    assert mean_lab(np.array([[20.0, 4, 0], [60.0, -8, 2]]), np.array([3, 1])) == pytest.approx((30, 1, 0.5))
