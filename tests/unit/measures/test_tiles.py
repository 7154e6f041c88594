"""A grid of tiles covers every pixel of a plate, without overlap exactly once, and each tile has its box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas_resources.measures.tiles import tile_grid


def coverage(width_px: int, height_px: int, grid: int, overlap_ratio: float) -> np.ndarray:
    """The number of tiles that hold each pixel, int [height_px, width_px]."""
    counts = np.zeros((height_px, width_px), int)
    for tile in tile_grid(width_px, height_px, grid, overlap_ratio):
        counts[tile.y_min : tile.y_max, tile.x_min : tile.x_max] += 1
    return counts


def test_a_grid_by_hand():
    """5 px in two: the edge at 2.5 is rounded up. 4 px in two: at 2."""
    assert tile_grid(5, 4, 2) == [
        ("2x2-r1c1", 0, 0, 3, 2),
        ("2x2-r1c2", 3, 0, 5, 2),
        ("2x2-r2c1", 0, 2, 3, 4),
        ("2x2-r2c2", 3, 2, 5, 4),
    ]


def test_overlapping_tiles_by_hand():
    """Three sides of 40 px, each sharing half with the next: 40 + 20 + 20 = 80."""
    first_row = [(tile.x_min, tile.x_max) for tile in tile_grid(80, 80, 3, 0.5)[:3]]
    assert first_row == [(0, 40), (20, 60), (40, 80)]


def test_a_tenth_is_a_tenth():
    """Two sides of 100 px that share 10: the float 0.1 is a little more, and would move an edge that is at .5."""
    assert [(tile.x_min, tile.x_max) for tile in tile_grid(190, 190, 2, 0.1)[:2]] == [(0, 100), (90, 190)]


@given(st.integers(8, 200), st.integers(8, 200), st.integers(2, 8))
def test_touching_tiles_hold_each_pixel_once(width_px: int, height_px: int, grid: int):
    assert (coverage(width_px, height_px, grid, 0.0) == 1).all()


@given(st.integers(8, 200), st.integers(8, 200), st.integers(2, 8), st.floats(0, 0.9))
def test_overlapping_tiles_leave_no_pixel_out(width_px: int, height_px: int, grid: int, overlap_ratio: float):
    assert (coverage(width_px, height_px, grid, overlap_ratio) >= 1).all()


def test_a_picture_too_small_to_cut_is_refused():
    with pytest.raises(ValueError, match="a picture of 100 x 3 px cannot be cut into 4 x 4 tiles"):
        tile_grid(100, 3, 4)
