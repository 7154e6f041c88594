"""Moments, extremes, entropy, percentiles and Otsu's threshold, all from 256 counts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.filters import threshold_otsu

from atlas_resources.measures.colour.levels import describe_levels, otsu_threshold, percentile_level


def histogram(pixels_by_level: dict[int, int]) -> np.ndarray:
    counts = np.zeros(256, np.int64)
    for level, pixels in pixels_by_level.items():
        counts[level] = pixels
    return counts


def test_three_dark_pixels_and_a_light_one():
    statistics = describe_levels(histogram({10: 3, 250: 1}))
    # mean (3 * 10 + 250) / 4 = 70; variance (3 * 60 ** 2 + 180 ** 2) / 4 = 10800
    assert statistics.mean == 70
    assert statistics.std == pytest.approx(math.sqrt(10800), rel=1e-15)
    assert (statistics.minimum, statistics.maximum) == (10, 250)
    # -(0.75 log2 0.75 + 0.25 log2 0.25) = 0.31127812 + 0.5
    assert statistics.entropy_bits == pytest.approx(0.81127812, abs=1e-8)


def test_one_level_has_no_spread_and_no_entropy():
    statistics = describe_levels(histogram({77: 1_000_003}))
    assert (statistics.mean, statistics.std, statistics.entropy_bits) == (77, 0, 0)
    assert math.copysign(1, statistics.entropy_bits) == 1


def test_every_level_alike_has_eight_bits():
    statistics = describe_levels(np.full(256, 3))
    assert statistics.entropy_bits == 8
    # a discrete uniform variable: variance (256 ** 2 - 1) / 12
    assert statistics.std == pytest.approx(math.sqrt((256**2 - 1) / 12), rel=1e-15)


def test_a_picture_of_half_a_gigapixel_keeps_its_last_pixel():
    # In float32, 2 ** 29 + 1 is 2 ** 29. mean = 255 / n.
    statistics = describe_levels(histogram({0: 2**29, 255: 1}))
    assert statistics.mean == 255 / (2**29 + 1)


@pytest.mark.parametrize(("percent", "level"), [(1, 5), (7, 5), (8, 6), (99, 6), (100, 200)])
def test_a_percentile_is_the_first_level_that_reaches_the_share(percent: int, level: int):
    # Of 100 pixels, 7 lie at or below 5, 99 at or below 6. (In floats 0.07 * 100 > 7.)
    assert percentile_level(histogram({5: 7, 6: 92, 200: 1}), percent) == level


@given(st.lists(st.integers(0, 255), min_size=1, max_size=200), st.integers(1, 100))
def test_statistics_are_those_of_the_pixels(levels: list[int], percent: int):
    counts = np.bincount(levels, minlength=256)
    statistics = describe_levels(counts)
    assert statistics.mean == pytest.approx(np.mean(levels), rel=1e-12)
    assert statistics.std == pytest.approx(np.std(levels), rel=1e-9, abs=1e-9)
    assert (statistics.minimum, statistics.maximum) == (min(levels), max(levels))
    rank = -(-percent * len(levels) // 100)
    assert percentile_level(counts, percent) == sorted(levels)[rank - 1]


def test_otsu_parts_two_tones_at_the_darker():
    # Every threshold from 20 to 199 parts them alike; the lowest is taken.
    assert otsu_threshold(histogram({20: 30, 200: 70})) == 20


def test_otsu_parts_three_tones_at_the_wider_gap():
    # Between-class variance n1 n2 (mean difference) ** 2, for 10 pixels at each of 0, 50, 200:
    # cut after 0: 10 * 20 * 125 ** 2 = 3.1e6; cut after 50: 20 * 10 * 175 ** 2 = 6.1e6
    assert otsu_threshold(histogram({0: 10, 50: 10, 200: 10})) == 50


def test_otsu_of_one_level_is_that_level():
    assert otsu_threshold(histogram({255: 9})) == 255


def test_otsu_does_not_depend_on_the_number_of_pixels():
    counts = np.random.default_rng(0).integers(0, 1000, 256)
    assert otsu_threshold(counts * 100_003) == otsu_threshold(counts)


@given(st.lists(st.integers(0, 255), min_size=2, max_size=300).filter(lambda levels: len(set(levels)) > 1))
def test_otsu_is_that_of_scikit_image(levels: list[int]):
    pixels = np.array([levels], np.uint8)
    assert otsu_threshold(np.bincount(levels, minlength=256)) == threshold_otsu(pixels)


@pytest.mark.parametrize("measure", [describe_levels, otsu_threshold])
def test_no_pixel_is_refused(measure):
    with pytest.raises(ValueError, match="at least one pixel"):
        measure(np.zeros(256, np.int64))
