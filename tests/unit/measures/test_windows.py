"""The box around a mask, and the strips of a picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas_resources.measures.windows import bounding_box, row_strips


def test_the_box_holds_every_true_pixel_and_no_empty_edge():
    mask = np.zeros((6, 8), bool)
    mask[2, 5] = mask[4, 1] = True
    assert bounding_box(mask) == (slice(2, 5), slice(1, 6))
    assert bounding_box(np.ones((3, 4), bool)) == (slice(0, 3), slice(0, 4))


def test_the_box_of_an_empty_mask_is_empty():
    assert bounding_box(np.zeros((3, 4), bool)) == (slice(0, 0), slice(0, 0))


@pytest.mark.parametrize(
    ("strip_pixels", "strips"),
    [
        (100, [slice(0, 5)]),
        (8, [slice(0, 2), slice(2, 4), slice(4, 5)]),
        (3, [slice(row, row + 1) for row in range(5)]),  # less than one row of 4
    ],
)
def test_five_rows_of_four_pixels_in_strips(strip_pixels: int, strips: list[slice]):
    assert list(row_strips(5, 4, strip_pixels)) == strips


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 200))
def test_each_row_is_in_one_strip(height: int, width: int, strip_pixels: int):
    rows = [row for strip in row_strips(height, width, strip_pixels) for row in range(strip.start, strip.stop)]
    assert rows == list(range(height))
