"""Run lengths against pycocotools, against counting pixels, and by hand."""

import hashlib
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from atlas_resources.measures import windows
from atlas_resources.measures.masks import run_lengths
from atlas_resources.measures.masks.shape import intersection_over_union, part_of

SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 14))
MASKS = hnp.arrays(np.bool_, SHAPES)
SETS = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)).flatmap(lambda s: hnp.arrays(np.bool_, s))

# pycocotools 2.0.11 predates the copy keyword of NumPy 2. Nobody else has the array that it returns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@given(MASKS)
def test_run_lengths_are_those_of_pycocotools(mask: np.ndarray):
    counts = coco.encode(np.asfortranarray(mask.view(np.uint8)))["counts"]
    assert run_lengths.encode(mask) == str(cast(bytes, counts), "ascii")


def test_run_lengths_go_down_the_columns():
    mask = np.array([[0, 1, 1], [0, 1, 0]], bool)
    # Columns 00 11 10: 2 outside, 3 inside, 1 outside. COCO writes a count below 16 as the character 48 above it.
    assert run_lengths.encode(mask) == "231"
    assert run_lengths.mask_sha256("231", 2, 3) == hashlib.sha256(b"2x3:231").hexdigest()


@given(MASKS)
def test_a_mask_survives_encoding_and_decoding(mask: np.ndarray):
    decoded = run_lengths.decode(run_lengths.encode(mask), *mask.shape)
    assert decoded.dtype == np.bool_
    np.testing.assert_array_equal(decoded, mask)


@given(MASKS.filter(np.any))
def test_a_box_alone_is_encoded_as_the_whole_mask(mask: np.ndarray):
    part = part_of(mask)
    assert run_lengths.encode_part(part.pixels, part.top, part.left, *mask.shape) == run_lengths.encode(mask)


def test_an_array_of_another_kind_is_not_encoded():
    with pytest.raises(ValueError, match=r"bool \[H, W\], found uint8 \[2, 3\]"):
        run_lengths.encode(np.zeros((2, 3), np.uint8))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"found bool \[6\]"):
        run_lengths.encode(np.zeros(6, bool))


def test_masks_of_the_same_run_lengths_and_another_size_have_another_digest():
    tall, wide = run_lengths.encode(np.zeros((4, 2), bool)), run_lengths.encode(np.zeros((2, 4), bool))
    assert tall == wide
    assert run_lengths.mask_sha256(tall, 4, 2) != run_lengths.mask_sha256(wide, 2, 4)


@given(MASKS)
def test_area_and_box_are_those_of_the_pixels(mask: np.ndarray):
    counts = run_lengths.encode(mask)
    rows, columns = windows.bounding_box(mask)
    assert run_lengths.area_px(counts, *mask.shape) == np.count_nonzero(mask)
    box = (columns.start, rows.start, columns.stop, rows.stop)
    assert run_lengths.bounding_box(counts, *mask.shape) == box


@given(st.lists(hnp.arrays(np.bool_, (7, 9)), max_size=4), hnp.arrays(np.bool_, (7, 9)))
def test_unions_and_common_pixels_are_those_of_the_pixels(masks: list[np.ndarray], other: np.ndarray):
    coded = [run_lengths.encode(mask) for mask in masks]
    together = run_lengths.decode(run_lengths.union(coded, 7, 9), 7, 9)
    np.testing.assert_array_equal(together, np.any([np.zeros((7, 9), bool), *masks], axis=0))
    common = run_lengths.common_px(coded, run_lengths.encode(other), 7, 9)
    assert common.dtype == np.int64
    assert common.tolist() == [np.count_nonzero(mask & other) for mask in masks]


def test_two_squares_that_share_a_quarter():
    one, other = np.zeros((2, 8, 8), bool)
    one[0:4, 0:4] = True
    other[2:6, 2:6] = True
    # 4 pixels in both, 28 in either
    found = run_lengths.overlaps([run_lengths.encode(one), run_lengths.encode(other)], 8, 8)
    np.testing.assert_allclose(found, [[1, 4 / 28], [4 / 28, 1]])


@given(SETS)
def test_overlaps_are_those_of_the_pixels(masks: np.ndarray):
    found = run_lengths.overlaps([run_lengths.encode(mask) for mask in masks], *masks.shape[1:])
    expected = [[intersection_over_union(one, other) for other in masks] for one in masks]
    np.testing.assert_allclose(found, expected)


def test_no_masks_have_no_overlaps():
    assert run_lengths.overlaps([], 3, 4).shape == (0, 0)


def test_an_empty_mask_is_one_run_that_overlaps_nothing():
    empty, full = run_lengths.encode(np.zeros((3, 4), bool)), run_lengths.encode(np.ones((3, 4), bool))
    assert empty == "<"  # 12 pixels outside: the character 60
    assert run_lengths.union([], 3, 4) == empty
    assert run_lengths.area_px(empty, 3, 4) == 0
    assert run_lengths.bounding_box(empty, 3, 4) == (0, 0, 0, 0)
    assert run_lengths.common_px([empty, full], empty, 3, 4).tolist() == [0, 0]
    assert run_lengths.overlaps([empty, full], 3, 4).tolist() == [[0, 0], [0, 1]]
