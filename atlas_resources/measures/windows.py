"""Which part of a picture is read at a time: the box around a mask, and strips of whole rows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around all True pixels of a mask, bool [H, W]: `mask[bounding_box(mask)]`.

    Both slices are half open. For an empty mask both are `slice(0, 0)`.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def row_strips(height: int, width: int, strip_pixels: int) -> Iterator[slice]:
    """Yields slices of consecutive rows, from top to bottom. Each row is in one of them.

    Args:
        height: rows of the picture.
        width: pixels in a row.
        strip_pixels: most pixels of a strip. A strip has at least one row, however wide.
    """
    rows = max(1, strip_pixels // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))
