"""Luminance: 8-bit Rec. 709 luma, exact for every colour and however the picture is cut into strips."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from atlas_resources.measures.colour import luma as luma_module
from atlas_resources.measures.colour.luma import luma, luma_of_image


def test_primaries_weigh_as_rec_709_has_them():
    rgb = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    # 0.2126 * 255 = 54.213, 0.7152 * 255 = 182.376, 0.0722 * 255 = 18.411
    assert luma(rgb).tolist() == [54, 182, 18]


def test_a_half_rounds_up():
    # 0.7152 * 14 + 0.0722 * 76 = 10.0128 + 5.4872 = 15.5, which rounding to even and float truncation could miss.
    assert luma(np.array([[0, 14, 76]], np.uint8)).tolist() == [16]


def test_a_grey_keeps_its_level():
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert luma(greys).tolist() == list(range(256))


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_luma_is_the_exact_fraction_rounded_half_up(colour: tuple[int, int, int]):
    weights = (Fraction(2126, 10000), Fraction(7152, 10000), Fraction(722, 10000))
    exact = sum(weight * level for weight, level in zip(weights, colour, strict=True))
    assert luma(np.array([colour], np.uint8))[0] == floor(exact + Fraction(1, 2))


@pytest.mark.parametrize("strip_pixels", [1, 7, 64, 1000])
def test_strips_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch, strip_pixels: int):
    rgb = np.random.default_rng(0).integers(0, 256, (13, 7, 3), np.uint8)
    whole = luma(rgb)
    monkeypatch.setattr(luma_module, "STRIP_PIXELS", strip_pixels)
    np.testing.assert_array_equal(luma(rgb), whole)


def test_of_an_image_it_is_the_same_for_every_colour():
    codes = np.arange(1 << 24, dtype=np.uint32)
    rgb = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.uint8).reshape(4096, 4096, 3)
    np.testing.assert_array_equal(luma_of_image(Image.fromarray(rgb)), luma(rgb))


def test_what_is_not_8_bit_rgb_is_refused():
    with pytest.raises(ValueError, match=r"uint8 \[\.\.\., 3\] sRGB, found float64 \[2, 2, 3\]"):
        luma(np.zeros((2, 2, 3)))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"found uint8 \[2, 2, 4\]"):
        luma(np.zeros((2, 2, 4), np.uint8))
