"""A picture's pixels as an array, from its own memory where it is in one block."""

import numpy as np
import pytest
from PIL import Image

from atlas_resources.measures.arrays import BLOCK_BYTES, hold_in_one_block, pixels_of

DRAWN = np.random.default_rng(0).integers(0, 256, (3000, 2000, 3), np.uint8)  # 24 MB as Pillow holds it


@pytest.fixture(params=[1 << 24, BLOCK_BYTES], ids=["in_blocks", "in_one_block"])
def block_bytes(request):
    before = Image.core.get_block_size()
    Image.core.set_block_size(request.param)
    yield request.param
    Image.core.set_block_size(before)


def test_pixels_are_those_of_the_picture(block_bytes):
    pixels = pixels_of(Image.fromarray(DRAWN))
    assert pixels.shape == (3000, 2000, 4 if block_bytes == BLOCK_BYTES else 3)
    np.testing.assert_array_equal(pixels[..., :3], DRAWN)


def test_levels_are_those_of_the_picture(block_bytes):
    levels = np.concatenate([DRAWN[..., 0]] * 4)  # 24 MB
    np.testing.assert_array_equal(pixels_of(Image.fromarray(levels)), levels)


def test_a_picture_of_one_row_or_column_keeps_its_shape(block_bytes):
    assert [pixels_of(Image.new("L", size)).shape for size in ((7, 1), (1, 7))] == [(1, 7), (7, 1)]
    assert [pixels_of(Image.new("RGB", size)).shape for size in ((7, 1), (1, 7))] == [(1, 7, 4), (7, 1, 4)]


def test_pixels_outlive_their_picture_and_cannot_be_written():
    hold_in_one_block()
    picture = Image.fromarray(DRAWN)
    pixels = pixels_of(picture)
    del picture
    np.testing.assert_array_equal(pixels[..., :3], DRAWN)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0, 0] = 1
