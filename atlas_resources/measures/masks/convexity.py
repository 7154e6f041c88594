"""The convex hull of a segment: of its pixels' squares, so that a rectangle fills its own."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

SQUARE = ((0, 0), (0, 1), (1, 0), (1, 1))  # corners of a pixel, down and across


def convex_area(part: NDArray[np.bool_]) -> float:
    """Area of the convex hull of a mask's pixels, each a unit square, in pixels.

    Only the first and the last pixel of each row can lie on the hull.

    Args:
        part: bool [H, W], with at least one True pixel.
    """
    rows = np.flatnonzero(part.any(axis=1))
    first = part[rows].argmax(axis=1)
    last = part.shape[1] - 1 - part[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([rows, columns], axis=1) for columns in (first, last)])
    corners = np.concatenate([ends + corner for corner in SQUARE])
    return float(ConvexHull(corners).volume)  # of a hull in the plane, Qhull calls the area volume
