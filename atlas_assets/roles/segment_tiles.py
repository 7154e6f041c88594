"""Segmenting a raster too large for a model by overlapping tiles, and joining masks across the seams."""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from atlas_resources.instruments.spec.input import Tiling
from atlas_resources.models.protocols import Mask, Segmenter


@dataclass(frozen=True)
class Tile:
    """A tile as rows and columns of a raster."""

    rows: slice
    columns: slice


@dataclass
class Piece:
    """A mask of a tile, and the index of another piece of the same mask; its own index for the first piece."""

    tile: Tile
    mask: Mask
    joined_to: int


def lay_tiles(height: int, width: int, tiling: Tiling) -> list[Tile]:
    """Tiles that cover a raster, row by row. The last tile of a row or column ends with the raster."""
    return [
        Tile(slice(top, min(top + tiling.tile_px, height)), slice(left, min(left + tiling.tile_px, width)))
        for top in _starts(height, tiling)
        for left in _starts(width, tiling)
    ]


def _starts(side_px: int, tiling: Tiling) -> list[int]:
    last = max(0, side_px - tiling.tile_px)
    return sorted({min(start, last) for start in range(0, last + tiling.tile_px, tiling.tile_px - tiling.overlap_px)})


def segment_tiles(model: Segmenter, raster: np.ndarray, tiling: Tiling) -> list[Mask]:
    """Masks of a uint8 sRGB raster [H, W, 3], tile by tile, each at the raster's size.

    Masks of two tiles are joined if they have the same class and their intersection over union within the overlap of
    the tiles is at least `merge_iou`. A joined mask has the lowest predicted IoU and stability of its pieces.
    """
    pieces: list[Piece] = []
    height, width = raster.shape[:2]
    for tile in lay_tiles(height, width, tiling):
        for mask in model.segment(raster[tile.rows, tile.columns]):
            pieces.append(Piece(tile, mask, len(pieces)))
    _join(pieces, tiling.merge_iou)
    groups: dict[int, list[Piece]] = {}
    for number in range(len(pieces)):
        groups.setdefault(_root(pieces, number), []).append(pieces[number])
    return [_merged(group, height, width) for group in groups.values()]


def _join(pieces: list[Piece], merge_iou: float) -> None:
    """Joins the pieces of each pair of tiles that overlap."""
    numbers_of: dict[tuple[int, int], list[int]] = {}
    for number, piece in enumerate(pieces):
        numbers_of.setdefault((piece.tile.rows.start, piece.tile.columns.start), []).append(number)
    for one, other in combinations(numbers_of.values(), 2):
        rows = _overlap(pieces[one[0]].tile.rows, pieces[other[0]].tile.rows)
        columns = _overlap(pieces[one[0]].tile.columns, pieces[other[0]].tile.columns)
        if rows is None or columns is None:
            continue
        first, second = (_within(pieces, numbers, rows, columns) for numbers in (one, other))
        both = first @ second.T
        either = first.sum(axis=1)[:, None] + second.sum(axis=1)[None] - both
        for i, j in zip(*np.nonzero(both >= np.maximum(merge_iou * either, 1)), strict=True):
            if pieces[one[i]].mask.class_name == pieces[other[j]].mask.class_name:
                low, high = sorted((_root(pieces, one[i]), _root(pieces, other[j])))
                pieces[high].joined_to = low


def _overlap(one: slice, other: slice) -> slice | None:
    start, stop = max(one.start, other.start), min(one.stop, other.stop)
    return slice(start, stop) if start < stop else None


def _within(pieces: list[Piece], numbers: list[int], rows: slice, columns: slice) -> np.ndarray:
    """Pixels of pieces of one tile within rows and columns of the raster: float32 [pieces, pixels], 0 or 1."""
    tile = pieces[numbers[0]].tile
    seen = (
        slice(rows.start - tile.rows.start, rows.stop - tile.rows.start),
        slice(columns.start - tile.columns.start, columns.stop - tile.columns.start),
    )
    return np.stack([pieces[number].mask.pixels[seen].ravel() for number in numbers]).astype(np.float32)


def _root(pieces: list[Piece], number: int) -> int:
    while pieces[number].joined_to != number:
        number = pieces[number].joined_to
    return number


def _merged(group: list[Piece], height: int, width: int) -> Mask:
    """The union of a group of joined pieces, as one mask of the raster's size."""
    pixels = np.zeros((height, width), dtype=bool)
    for piece in group:
        pixels[piece.tile.rows, piece.tile.columns] |= piece.mask.pixels
    mask = group[0].mask
    return replace(
        Mask.encode(pixels, mask.class_name, mask.class_id),
        predicted_iou=_least([piece.mask.predicted_iou for piece in group]),
        stability_score=_least([piece.mask.stability_score for piece in group]),
    )


def _least(values: list[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return min(given) if given else None
