"""Laplacian variance and edge density: by hand, at the borders, and in strips of any height."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.filters import sobel

from atlas_resources.measures import spatial
from atlas_resources.measures.spatial import edge_density, laplacian_variance

GREY_PICTURES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def test_a_flat_picture_has_neither():
    flat = np.full((5, 7), 90, np.uint8)
    assert laplacian_variance(flat) == 0
    assert edge_density(flat) == 0


def test_one_bright_pixel_of_twenty_five():
    luma = np.zeros((5, 5), np.uint8)
    luma[2, 2] = 100
    # The Laplacian is -400 there, 100 at four neighbours: mean 0, variance (160000 + 4 * 10000) / 25
    assert laplacian_variance(luma) == 8000
    # Sobel / 4 sees (h, v) of 2 at four sides (2, 0) and of 1 at four corners (1, 1), in units of 100 / 4:
    # (4 * sqrt(4 / 2) + 4 * sqrt(2 / 2)) * 25 / 255 / 25
    assert edge_density(luma) == pytest.approx((4 * math.sqrt(2) + 4) / 255, rel=1e-6)


def test_a_ramp_bends_only_at_its_mirrored_ends():
    luma = np.tile(np.arange(0, 60, 10, dtype=np.uint8), (4, 1))
    # Columns: 20, 0, 0, 0, 0, -20 of 6: mean 0, variance 800 / 6
    assert laplacian_variance(luma) == pytest.approx(800 / 6, rel=1e-12)
    # Gradient * 4 / 4 * (difference over two pixels): 20 inside, 10 at both ends; one direction only, so / sqrt(2)
    assert edge_density(luma) == pytest.approx((4 * 20 + 2 * 10) / 6 / 255 / math.sqrt(2), rel=1e-6)


@given(GREY_PICTURES)
def test_they_are_what_scipy_and_scikit_image_compute(luma: np.ndarray):
    laplacian = ndimage.convolve(luma.astype(float), np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]), mode="mirror")
    assert laplacian_variance(luma) == pytest.approx(laplacian.var(), rel=1e-9, abs=1e-9)
    assert edge_density(luma) == pytest.approx(sobel(luma / 255).mean(), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("strip_pixels", [1, 9, 40, 100])
@pytest.mark.parametrize("shape", [(13, 9), (1, 9), (13, 1), (2, 2), (1, 1)])
def test_strips_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch, strip_pixels: int, shape: tuple[int, int]):
    luma = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    whole = laplacian_variance(luma), edge_density(luma)
    monkeypatch.setattr(spatial, "STRIP_PIXELS", strip_pixels)
    assert laplacian_variance(luma) == whole[0]
    assert edge_density(luma) == pytest.approx(whole[1], rel=1e-12)


def test_the_squares_of_many_strips_are_counted_exactly():
    luma = np.random.default_rng(0).integers(0, 256, (1200, 900), np.uint8)  # five strips
    laplacian = ndimage.convolve(luma.astype(np.int64), np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]), mode="mirror")
    total, squares = int(laplacian.sum()), int((laplacian**2).sum())
    assert laplacian_variance(luma) == (luma.size * squares - total * total) / luma.size**2


def test_the_steepest_picture_does_not_overflow():
    checkerboard = (np.indices((6, 6)).sum(axis=0) % 2 * 255).astype(np.uint8)
    # Every Laplacian is +-4 * 255
    assert laplacian_variance(checkerboard) == 1020**2
    assert edge_density(np.repeat(np.array([[0, 255]], np.uint8), 2, axis=0)) == pytest.approx(1 / math.sqrt(2))
