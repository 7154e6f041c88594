"""The colour census: each distinct colour once, with exactly its pixels."""

from collections import Counter
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atlas_resources.measures.colour import census as census_module
from atlas_resources.measures.colour.census import count_colours

RED, CREAM, BLACK = (255, 0, 0), (250, 240, 220), (0, 0, 0)
PICTURE = np.array([[RED, CREAM, CREAM], [BLACK, CREAM, RED]], np.uint8)
SMALL_PICTURES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


def test_a_small_picture_is_counted_by_hand():
    census = count_colours(PICTURE)
    # 250 * 65536 + 240 * 256 + 220 = 16445660, 255 * 65536 = 16711680
    assert census.codes.tolist() == [0, 16445660, 16711680]
    assert census.counts.tolist() == [1, 3, 2]
    assert census.rgb.tolist() == [[0, 0, 0], [250, 240, 220], [255, 0, 0]]
    assert census.pixel_count == 6


def test_histograms_follow_from_the_census():
    census = count_colours(PICTURE)
    red = census.rgb_histograms[0]
    assert {level: int(red[level]) for level in np.flatnonzero(red)} == {0: 1, 250: 3, 255: 2}
    luminance = census.luma_histogram
    # cream: 0.2126 * 250 + 0.7152 * 240 + 0.0722 * 220 = 240.682; red: 54.213
    assert {level: int(luminance[level]) for level in np.flatnonzero(luminance)} == {0: 1, 54: 2, 241: 3}


def test_a_mask_leaves_the_other_pixels_out():
    mask = np.array([[True, True, False], [False, True, False]])
    census = count_colours(PICTURE, mask)
    assert census.rgb.tolist() == [list(CREAM), list(RED)]
    assert census.counts.tolist() == [2, 1]


def test_an_empty_mask_gives_an_empty_census():
    census = count_colours(PICTURE, np.zeros((2, 3), bool))
    assert census.pixel_count == 0
    assert census.lab.shape == (0, 3)


@given(SMALL_PICTURES)
def test_every_pixel_is_counted_once(rgb: np.ndarray):
    census = count_colours(rgb)
    expected = Counter(map(tuple, rgb.reshape(-1, 3).tolist()))
    assert dict(zip(map(tuple, census.rgb.tolist()), census.counts.tolist(), strict=True)) == expected
    assert (np.diff(census.codes.astype(np.int64)) > 0).all()
    for histogram in (*census.rgb_histograms, census.luma_histogram):
        assert histogram.sum() == rgb.shape[0] * rgb.shape[1]


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("strip_pixels", [1 << 17, 10])
def test_the_table_counts_as_sorting_does(monkeypatch: pytest.MonkeyPatch, is_masked: bool, strip_pixels: int):
    random = np.random.default_rng(0)
    rgb = random.integers(0, 4, (11, 7, 3), np.uint8)
    rgb[:6], rgb[6:9] = 255, (0, 0, 1)  # 42 and 21 pixels
    mask = random.random((11, 7)) < 0.5 if is_masked else None
    by_sorting = count_colours(rgb, mask)
    monkeypatch.setattr(census_module, "TABLE_PIXELS", 0)
    monkeypatch.setattr(census_module, "STRIP_PIXELS", strip_pixels)  # with 10, each row is one
    by_table = count_colours(rgb, mask)
    assert (by_table.codes.dtype, by_table.counts.dtype) == (np.uint32, np.int64)
    np.testing.assert_array_equal(by_table.codes, by_sorting.codes)
    np.testing.assert_array_equal(by_table.counts, by_sorting.counts)


def test_a_table_that_is_used_again_knows_nothing_of_the_picture_before(monkeypatch: pytest.MonkeyPatch):
    """Nor of one whose counting an error ended."""
    monkeypatch.setattr(census_module, "TABLE_PIXELS", 0)
    count_colours(np.full((5, 5, 3), RED, np.uint8))
    with monkeypatch.context() as patch:
        patch.setattr(census_module, "_counted", Mock(side_effect=MemoryError))
        with pytest.raises(MemoryError):
            count_colours(np.full((5, 5, 3), CREAM, np.uint8))
    census = count_colours(PICTURE)
    assert census.codes.tolist() == [0, 16445660, 16711680]
    assert census.counts.tolist() == [1, 3, 2]


@pytest.mark.parametrize("table_pixels", [0, 1 << 20])
@pytest.mark.parametrize("is_masked", [False, True])
def test_a_fourth_number_of_each_pixel_is_ignored(monkeypatch: pytest.MonkeyPatch, is_masked: bool, table_pixels: int):
    random = np.random.default_rng(0)
    padded = random.integers(0, 8, (11, 7, 4), np.uint8)
    mask = random.random((11, 7)) < 0.5 if is_masked else None
    monkeypatch.setattr(census_module, "TABLE_PIXELS", table_pixels)
    found, expected = count_colours(padded, mask), count_colours(padded[..., :3], mask)
    np.testing.assert_array_equal(found.codes, expected.codes)
    np.testing.assert_array_equal(found.counts, expected.counts)


def test_more_pixels_of_one_colour_than_float32_counts_are_exact():
    rgb = np.zeros((4097, 4097, 3), np.uint8)  # 16,785,409 pixels; 2 ** 24 is 16,777,216
    rgb[0, 0] = 7
    assert count_colours(rgb).counts.tolist() == [16_785_408, 1]


def test_arrays_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\] or \[H, W, 4\] sRGB, found uint16 \[2, 3, 3\]"):
        count_colours(PICTURE.astype(np.uint16))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"found uint8 \[2, 3\]"):
        count_colours(PICTURE[..., 0])
    with pytest.raises(ValueError, match=r"mask must be bool \[2, 3\], found bool \[3, 2\]"):
        count_colours(PICTURE, np.ones((3, 2), bool))
