"""The tiles of a picture: a regular grid of boxes over its pixels that touch or overlap."""

import math
from fractions import Fraction
from typing import NamedTuple

OVERLAP_DENOMINATOR = 10**6  # so that a declared 0.1 is exactly a tenth


class Tile(NamedTuple):
    """One box of a grid, in pixels. x_max and y_max are one past the last pixel."""

    tile_id: str
    x_min: int
    y_min: int
    x_max: int
    y_max: int


def _spans(length_px: int, count: int, overlap: Fraction) -> list[tuple[int, int]]:
    """Spans of equal length from 0 to `length_px`, each as start and end. Edges are rounded half up."""
    side = Fraction(length_px) / (1 + (count - 1) * (1 - overlap))
    starts = [number * side * (1 - overlap) for number in range(count)]
    return [(math.floor(start + Fraction(1, 2)), math.floor(start + side + Fraction(1, 2))) for start in starts]


def tile_grid(width_px: int, height_px: int, grid: int, overlap_ratio: float = 0.0) -> list[Tile]:
    """The `grid` by `grid` tiles of a picture, row by row. Together they cover every pixel.

    Args:
        width_px: width of the picture.
        height_px: height of the picture.
        grid: number of tiles along each side.
        overlap_ratio: share of a tile's side that it has in common with its neighbour, at least 0 and less than 1.

    Returns:
        Tiles named as `4x4-r1c2`: grid, row and column, both counted from 1.

    Raises:
        ValueError: the picture has fewer pixels than tiles along a side.
    """
    if min(width_px, height_px) < grid:
        raise ValueError(f"a picture of {width_px} x {height_px} px cannot be cut into {grid} x {grid} tiles")
    overlap = Fraction(overlap_ratio).limit_denominator(OVERLAP_DENOMINATOR)
    columns, rows = _spans(width_px, grid, overlap), _spans(height_px, grid, overlap)
    return [
        Tile(f"{grid}x{grid}-r{row}c{column}", left, top, right, bottom)
        for row, (top, bottom) in enumerate(rows, start=1)
        for column, (left, right) in enumerate(columns, start=1)
    ]
