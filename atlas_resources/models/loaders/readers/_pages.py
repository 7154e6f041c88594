"""Lines of a page: reading one by tiles, merging what several readings found, and the order of reading."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from shapely import Polygon

from atlas_resources.instruments.parameters.reading import PpocrParameters
from atlas_resources.models.protocols import TextLine

Read = Callable[[np.ndarray], list[TextLine]]
"""Reads an image uint8 [h, w, 3], at the size that it has or reduced; corners are in the image's pixels."""
SAME_ROW_RATIO = 0.5  # of the lower line's height: how far the middles of two lines of a row may differ


def read_by_tiles(read: Read, pixels: np.ndarray, parameters: PpocrParameters) -> list[TextLine]:
    """Reads a plate as a whole and, if it is large, tile by tile: lettering that vanishes when the plate
    is reduced is large enough in a tile, and lines longer than a tile are whole on the plate.

    Args:
        read: reads one image.
        pixels: uint8 [H, W, 3].
        parameters: sides and overlap of the tiles, and the rule of merging.

    Returns:
        The lines in reading order.
    """
    height, width = pixels.shape[:2]
    readings = [read(pixels)]
    if max(height, width) > parameters.tiled_above_px:
        for top in _starts(height, parameters):
            for left in _starts(width, parameters):
                tile = pixels[top : top + parameters.tile_px, left : left + parameters.tile_px]
                readings.append([replace(line, corners=line.corners + np.array([left, top])) for line in read(tile)])
    return in_reading_order(merge_readings(readings, parameters.merge_overlap))


def _starts(side_px: int, parameters: PpocrParameters) -> list[int]:
    """Where the tiles along a side begin; the last one ends with the plate."""
    last = max(0, side_px - parameters.tile_px)
    step = parameters.tile_px - parameters.overlap_px
    return sorted({min(start, last) for start in range(0, last + step, step)})


def merge_readings(readings: Sequence[Sequence[TextLine]], overlap: float) -> list[TextLine]:
    """The lines of several readings of one plate, each piece of lettering once.

    Lines of two readings are the same lettering if their common area is at least `overlap` of the smaller one. Of each
    lettering that reading is kept which has most characters, less one for each line that it is broken into, weighted by
    their lines' scores; of equals, the first.

    Args:
        readings: lines with scores, in the same pixels.
        overlap: share of the smaller box, 0..1.
    """
    lines = [(number, line, Polygon(line.corners)) for number, reading in enumerate(readings) for line in reading]
    root = list(range(len(lines)))

    def root_of(index: int) -> int:
        while root[index] != index:
            index = root[index]
        return index

    for first, second in combinations(range(len(lines)), 2):
        (one, _, shape), (other, _, other_shape) = lines[first], lines[second]
        if one != other and shape.intersects(other_shape):
            smaller = min(shape.area, other_shape.area)
            if shape.intersection(other_shape).area >= overlap * smaller:
                root[root_of(second)] = root_of(first)
    letterings: dict[int, dict[int, list[TextLine]]] = {}
    for index, (number, line, _) in enumerate(lines):
        letterings.setdefault(root_of(index), {}).setdefault(number, []).append(line)
    return [line for found in letterings.values() for line in max(found.values(), key=_evidence)]


def _evidence(lines: Iterable[TextLine]) -> float:
    return sum((len(line.text) - 1) * (line.score or 0.0) for line in lines)


def in_reading_order(lines: Iterable[TextLine]) -> list[TextLine]:
    """Lines from top to bottom, and those of a row from left to right.

    A line is in the row of the line above if their middles differ by less than half of the lower one's height.
    """
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: (_middle(line), line.corners[:, 0].min())):
        height = min((np.ptp(one.corners[:, 1]) for one in (line, rows[-1][0])), default=0) if rows else 0
        if rows and _middle(line) - _middle(rows[-1][0]) < SAME_ROW_RATIO * height:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.corners[:, 0].min())]


def _middle(line: TextLine) -> float:
    return float(line.corners[:, 1].min() + line.corners[:, 1].max()) / 2
