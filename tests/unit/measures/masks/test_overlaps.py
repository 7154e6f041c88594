"""Overlap of every two masks, against counting pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atlas_resources.measures.masks.overlaps import mask_overlaps
from atlas_resources.measures.masks.shape import encode_mask, intersection_over_union

SETS = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)).flatmap(lambda s: hnp.arrays(np.bool_, s))


def test_two_squares_that_share_a_quarter():
    one, other = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    one[0:4, 0:4] = True
    other[2:6, 2:6] = True
    # 4 pixels in both, 28 in either
    found = mask_overlaps([encode_mask(one), encode_mask(other)])
    np.testing.assert_allclose(found, [[1, 4 / 28], [4 / 28, 1]])


@given(SETS)
def test_run_lengths_give_what_pixels_give(masks: np.ndarray):
    found = mask_overlaps([encode_mask(mask) for mask in masks])
    for row, one in enumerate(masks):
        for column, other in enumerate(masks):
            expected = intersection_over_union(one, other) if (one | other).any() else 0
            assert found[row, column] == pytest.approx(expected)


def test_no_masks_have_no_overlaps():
    assert mask_overlaps([]).shape == (0, 0)


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"of one size are needed, found \[\(2, 3\), \(3, 2\)\]"):
        mask_overlaps([encode_mask(np.ones((2, 3), bool)), encode_mask(np.ones((3, 2), bool))])
