"""The shape of a segment given as a mask: position, size, pieces, holes and convexity; and how far two masks agree."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from skimage.measure import label

from atlas_resources.measures.masks.run_lengths import Mask, require_mask
from atlas_resources.measures.windows import bounding_box

PIXEL_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))  # row and column, from the pixel's upper left corner


@dataclass(frozen=True)
class MaskMeasures:
    """Position and connectedness of a segment. Pixels are connected along edges and at corners (8-connectivity).

    Attributes:
        area_px: pixels of the segment.
        area_ratio: area_px over the pixels of the picture, 0..1.
        x_min, y_min: first column and row with a pixel of the segment.
        x_max, y_max: one past the last, so that x_max - x_min is the width in pixels.
        centroid_x, centroid_y: mean of pixel centres, 0..1 of the picture's width and height.
        component_count: connected pieces.
        fragmentation_score: 1 - area of the largest piece / area_px; 0 for one piece, towards 1 for dust.
        hole_count: pieces of background (4-connected) that the segment encloses.
        solidity: area_px over `convex_area`, 0..1; 1 for a convex segment.
        is_touching_border: has a pixel in the picture's outermost rows or columns.
    """

    area_px: int
    area_ratio: float
    x_min: int
    y_min: int
    x_max: int
    y_max: int
    centroid_x: float
    centroid_y: float
    component_count: int
    fragmentation_score: float
    hole_count: int
    solidity: float
    is_touching_border: bool


@dataclass(frozen=True)
class Part:
    """A mask cut to its smallest box, since a large picture has many small segments.

    Attributes:
        pixels: bool [h, w], True inside the segment; each edge has a True pixel.
        top, left: row and column of the box's first pixel in the picture.
        height, width: of the picture, in pixels.
    """

    pixels: Mask
    top: int
    left: int
    height: int
    width: int


def part_of(mask: Mask) -> Part:
    """A mask, bool [H, W], cut to its smallest box.

    Raises:
        ValueError: the array is not a mask, or no pixel of it is True.
    """
    height, width = require_mask(mask).shape
    rows, columns = bounding_box(mask)
    if rows.stop == 0:
        raise ValueError(f"a segment has at least one pixel, found an empty mask {list(mask.shape)}")
    return Part(mask[rows, columns], rows.start, columns.start, height, width)


def measure_part(part: Part) -> MaskMeasures:
    """Measures a segment from its box alone."""
    crop, top, left = part.pixels, part.top, part.left
    bottom, right = top + crop.shape[0], left + crop.shape[1]
    pixels_by_column = np.count_nonzero(crop, axis=0)
    pixels_by_row = np.count_nonzero(crop, axis=1)
    area_px = int(pixels_by_column.sum())
    pieces = np.asarray(label(crop, connectivity=2))
    px_by_piece = np.bincount(pieces[crop])[1:]
    return MaskMeasures(
        area_px=area_px,
        area_ratio=area_px / (part.height * part.width),
        x_min=left,
        y_min=top,
        x_max=right,
        y_max=bottom,
        centroid_x=(left + _mean_position(pixels_by_column)) / part.width,
        centroid_y=(top + _mean_position(pixels_by_row)) / part.height,
        component_count=len(px_by_piece),
        fragmentation_score=1 - int(px_by_piece.max()) / area_px,
        hole_count=len(px_by_piece) - _euler_number(crop),
        solidity=min(1.0, area_px / convex_area(crop)),  # Qhull rounds the hull's area
        is_touching_border=top == 0 or left == 0 or bottom == part.height or right == part.width,
    )


def convex_area(part: Mask) -> float:
    """Area in pixels of the convex hull of a mask's pixels, each a unit square: a rectangle fills its hull.

    Only the first and last pixel of each row can be on the hull.

    Args:
        part: bool [H, W], with at least one True pixel.
    """
    rows = np.flatnonzero(part.any(axis=1))
    first = part[rows].argmax(axis=1)
    last = part.shape[1] - 1 - part[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([rows, columns], axis=1) for columns in (first, last)])
    corners = np.concatenate([ends + corner for corner in PIXEL_CORNERS])
    return float(ConvexHull(corners).volume)  # Qhull calls the area of a hull in the plane its volume


def intersection_over_union(one: Mask, other: Mask) -> float:
    """Pixels in both masks over pixels in either, 0..1 (the Jaccard index); 0 if both masks are empty.

    Args:
        one: bool [H, W].
        other: bool [H, W].

    Raises:
        ValueError: the shapes differ, or an array is not a mask.
    """
    if require_mask(one).shape != require_mask(other).shape:
        raise ValueError(f"masks of one shape are needed, found {list(one.shape)} and {list(other.shape)}")
    union_px = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union_px if union_px else 0.0


def _mean_position(pixels: NDArray[np.integer]) -> float:
    """Mean position of pixel centres along an axis, from the pixels at each index. The centre of index 0 is at 0.5."""
    return int(pixels @ np.arange(len(pixels))) / int(pixels.sum()) + 0.5


def _euler_number(mask: Mask) -> int:
    """Pieces less holes at 8-connectivity, from the 2 x 2 windows of pixels.

    S. B. Gray, "Local properties of binary images in two dimensions", IEEE Trans. Computers 20 (1971) 551-561:
    E = (Q1 - Q3 - 2 QD) / 4. Q1, Q3 and QD count windows with one pixel, with three, and with two on a diagonal.
    """
    padded = np.pad(mask, 1).view(np.uint8)
    windows = padded[:-1, :-1] + 2 * padded[:-1, 1:] + 4 * padded[1:, :-1] + 8 * padded[1:, 1:]
    count = np.bincount(windows.ravel(), minlength=16)
    one, three, diagonal = (int(count[list(kind)].sum()) for kind in ((1, 2, 4, 8), (7, 11, 13, 14), (6, 9)))
    return (one - three - 2 * diagonal) // 4
