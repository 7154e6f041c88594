"""White, black and clipped pixels of 16-bit scans are counted in their samples. Expected values are counted by hand."""

import struct
import zlib

import numpy as np
import tifffile
from PIL import Image
from support.decoded import GRAY, GRAY_ALPHA, RGB, WHITE, decode_image, pixels
from support.made_scans import SWAPPED_ICC, png_chunk, write_png

from atlas_resources.measures.colour.extremes import Extremes
from atlas_resources.measures.pixels import measure_pixels
from atlas_resources.plates.decode import decode


def test_only_samples_at_the_ends_are_white_or_clipped(tmp_path):
    # At 8 bits, 65408 to 65535 round to 255 and 0 to 128 to 0; at most 2570 = 10 * 257 is black.
    rows = [struct.pack(">7H", 65535, 65534, 65408, 2571, 2570, 128, 0)]
    decoded = decode(write_png(tmp_path / "a.png", (7, 1), 16, GRAY, rows))
    assert decoded.extremes == Extremes(white_px=1, black_px=3, clipped_low_px=1, clipped_high_px=1)
    tones = measure_pixels(decoded.image, decoded.extremes).tones
    assert (tones.white_ratio, tones.clipped_high_ratio, tones.clipped_low_ratio) == (1 / 7, 1 / 7, 1 / 7)
    assert tones.black_ratio == 3 / 7
    assert tones.max_rgb == (255, 255, 255)


def test_one_clipped_channel_is_enough_and_white_needs_all(tmp_path):
    row = struct.pack(">9H", 65535, 65535, 65535, 65535, 9, 0, 65534, 65534, 65534)
    decoded = decode(write_png(tmp_path / "a.png", (3, 1), 16, RGB, [row]))
    assert decoded.extremes == Extremes(white_px=1, black_px=0, clipped_low_px=1, clipped_high_px=2)


def test_a_transparent_pixel_is_white(tmp_path):
    row = struct.pack(">4H", 7, 0, 7, 65535)
    decoded = decode(write_png(tmp_path / "a.png", (2, 1), 16, GRAY_ALPHA, [row]))
    assert decoded.extremes == Extremes(white_px=1, black_px=1, clipped_low_px=0, clipped_high_px=1)


def test_they_are_of_the_samples_before_the_profile(tmp_path):
    row = [struct.pack(">3H", 65534, 65534, 65534)]
    icc = b"x\0\0" + zlib.compress(SWAPPED_ICC)
    decoded = decode(write_png(tmp_path / "a.png", (1, 1), 16, RGB, row, extra=png_chunk(b"iCCP", icc)))
    assert pixels(decoded) == [WHITE]
    assert decoded.facts.colour_policy.icc_profile == "converted"
    assert decoded.extremes == Extremes(white_px=0, black_px=0, clipped_low_px=0, clipped_high_px=0)


def test_those_of_8_bits_and_of_inks_are_of_the_srgb_pixels(tmp_path):
    assert decode_image(tmp_path, Image.new("RGB", (1, 1), WHITE), "PNG").extremes is None
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((1, 1, 4), np.uint16), photometric="separated")
    decoded = decode(tmp_path / "a.tif")
    assert (decoded.extremes, decoded.facts.colour_policy.extremes) == (None, "8_bit_srgb")
