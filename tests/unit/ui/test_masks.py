"""A mask overlay pales the paper, keeps the segments' colours, and outlines and numbers each segment."""

import io

import numpy as np
import pytest
from PIL import Image

from atlas_assets.ui.masks import SEGMENT_COLOURS, mask_overlay

RED = (180, 30, 30)


def overlay_of(masks: list[np.ndarray]) -> np.ndarray:
    """The overlay over a plain red plate of 320 x 160 px, int array (height, width, 3)."""
    picture = mask_overlay(Image.new("RGB", (320, 160), RED), masks)
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def square(left: int, top: int, side: int) -> np.ndarray:
    """A bool mask at half the plate's size, True in one square."""
    mask = np.zeros((80, 160), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def distance_to(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The greatest difference of any channel from a colour, for each pixel."""
    return np.abs(pixels - np.array(colour)).max(axis=-1)


def test_paper_is_paled_and_segments_keep_their_colour() -> None:
    pixels = overlay_of([square(20, 20, 40)])
    assert distance_to(pixels[60:64, 60:64], RED).max() < 12
    assert distance_to(pixels[10, 300], RED) > 60


def test_the_outline_surrounds_the_mask_in_the_segments_colour() -> None:
    pixels = overlay_of([square(20, 20, 40)])
    assert distance_to(pixels[80, 38:40], SEGMENT_COLOURS[0]).min() < 60
    assert distance_to(pixels[80, 70], RED) < 12
    assert distance_to(pixels[20, 200], SEGMENT_COLOURS[0]) > 100


def test_every_segment_has_a_white_badge_at_its_middle() -> None:
    pixels = overlay_of([square(10, 10, 40), square(90, 30, 40)])
    for x, y in ((60, 60), (220, 100)):
        badge = pixels[y - 8 : y + 8, x - 8 : x + 8]
        assert (badge.min(axis=-1) > 225).sum() > 30


def test_without_masks_the_whole_plate_is_paled() -> None:
    assert distance_to(overlay_of([]), RED).min() > 60


def test_masks_that_are_not_bool_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected masks of bool \[height, width\], found float64 \[4, 4\]"):
        overlay_of([np.zeros((4, 4))])
