"""Boxes around segments and what is cut out of them, pixel by pixel."""

import numpy as np
import pytest

from atlas_resources.measures.masks.crops import CropBox, crop_box, cut_out

RED, BLUE = (200, 0, 0), (0, 0, 200)


@pytest.mark.parametrize(
    ("padding_ratio", "shape", "expected"),
    [
        (0.0, "box", CropBox(10, 20, 50, 30)),
        (0.1, "box", CropBox(6, 16, 54, 34)),  # a tenth of 40 on every side
        (0.0, "square", CropBox(10, 5, 50, 45)),
        (0.1, "square", CropBox(6, 1, 54, 49)),
        (0.5, "square", CropBox(-10, -15, 70, 65)),  # reaches beyond the picture
    ],
)
def test_a_box_is_padded_and_squared_about_its_middle(padding_ratio: float, shape, expected: CropBox):
    assert crop_box(CropBox(10, 20, 50, 30), padding_ratio, shape) == expected


def test_the_odd_pixel_of_a_square_lies_below():
    assert crop_box(CropBox(0, 10, 5, 12), 0, "square") == CropBox(0, 9, 5, 14)


def test_surroundings_stay_without_a_mask_and_go_with_one():
    rgb = np.zeros((6, 8, 3), np.uint8)
    rgb[:] = RED
    mask = np.zeros((6, 8), bool)
    mask[1, 1] = True
    box = CropBox(-1, 0, 3, 2)
    plain, masked = cut_out(rgb, box, BLUE), cut_out(rgb, box, BLUE, mask)
    assert plain.tolist() == [[list(BLUE), list(RED), list(RED), list(RED)]] * 2
    assert masked.tolist() == [[list(BLUE)] * 4, [list(BLUE), list(BLUE), list(RED), list(BLUE)]]


def test_a_box_beside_the_picture_is_all_beyond():
    assert (cut_out(np.zeros((4, 4, 3), np.uint8), CropBox(4, 0, 6, 2), BLUE) == BLUE).all()


def test_a_cut_out_is_a_copy():
    rgb = np.zeros((4, 4, 3), np.uint8)
    cut_out(rgb, CropBox(0, 0, 4, 4), BLUE)[:] = 255
    assert not rgb.any()
