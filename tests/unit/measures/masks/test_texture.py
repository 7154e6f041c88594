"""Edges and sharpness inside a mask: by hand, and against scikit-image, which erodes the mask in the same way."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.filters import sobel

from atlas_resources.measures.masks import texture as texture_module
from atlas_resources.measures.masks.texture import Texture, texture

SHAPES = st.shared(st.tuples(st.integers(1, 12), st.integers(1, 12)), key="shape")
PICTURES = SHAPES.flatmap(lambda shape: hnp.arrays(np.uint8, shape))
MASKS = SHAPES.flatmap(lambda shape: hnp.arrays(np.bool_, shape, elements=st.sampled_from([True, True, True, False])))


def test_the_step_from_a_segment_to_its_paper_is_no_edge_of_the_segment():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    luma = np.where(mask, 40, 250).astype(np.uint8)
    # 5 x 5 pixels, flat: 3 x 3 of them have all neighbours inside
    assert texture(luma, mask) == Texture(9, 0.0, 0.0)


def test_a_ramp_has_one_slope_and_no_bend():
    luma = np.tile(np.arange(0, 90, 10, dtype=np.uint8), (5, 1))
    found = texture(luma, np.ones_like(luma, bool))
    # 20 over two pixels everywhere inside, one direction only
    assert (found.interior_px, found.laplacian_variance) == (21, 0)
    assert found.edge_density == pytest.approx(20 / 255 / math.sqrt(2), rel=1e-6)


def test_one_bright_pixel_inside_a_square_of_five():
    luma = np.zeros((7, 7), np.uint8)
    luma[3, 3] = 100
    mask = np.zeros((7, 7), bool)
    mask[1:6, 1:6] = True
    # 9 interior pixels: a Laplacian of -400, four of 100, four of 0
    found = texture(luma, mask)
    assert found.interior_px == 9
    assert found.laplacian_variance == pytest.approx((160000 + 40000) / 9)
    assert found.edge_density == pytest.approx((4 * math.sqrt(2) + 4) * 25 / 255 / 9, rel=1e-6)


@pytest.mark.parametrize("mask", [np.zeros((6, 6), bool), np.eye(6, dtype=bool), np.ones((2, 9), bool)])
def test_lines_and_nothing_have_no_interior(mask: np.ndarray):
    luma = np.random.default_rng(0).integers(0, 256, mask.shape, np.uint8)
    assert texture(luma, mask) == Texture(0, None, None)


@given(PICTURES, MASKS)
def test_it_is_what_scikit_image_gives_with_a_mask(luma: np.ndarray, mask: np.ndarray):
    interior = np.asarray(ndimage.binary_erosion(mask, np.ones((3, 3)), border_value=0), bool)
    found = texture(luma, mask)
    assert found.interior_px == interior.sum()
    if found.interior_px:
        laplacian = ndimage.laplace(luma.astype(float))[interior]
        assert found.laplacian_variance == pytest.approx(laplacian.var(), rel=1e-9, abs=1e-9)
        magnitudes = np.asarray(sobel(luma / 255, mask=mask))[interior]
        assert found.edge_density == pytest.approx(magnitudes.mean(), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("strip_pixels", [1, 20, 1000])
def test_strips_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch, strip_pixels: int):
    random = np.random.default_rng(1)
    luma, mask = random.integers(0, 256, (23, 17), np.uint8), random.random((23, 17)) < 0.95
    whole = texture(luma, mask)
    monkeypatch.setattr(texture_module, "STRIP_PIXELS", strip_pixels)
    found = texture(luma, mask)
    assert (found.interior_px, found.laplacian_variance) == (whole.interior_px, whole.laplacian_variance)
    assert found.edge_density == pytest.approx(whole.edge_density, rel=1e-12)


def test_masks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"the picture's shape \[3, 4\], found \[4, 3\]"):
        texture(np.zeros((3, 4), np.uint8), np.ones((4, 3), bool))
