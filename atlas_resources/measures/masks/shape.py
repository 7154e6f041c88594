"""Measures of one segment given as a mask, its coding as COCO run lengths, and how far two masks agree.

Colours of a segment follow from `count_colours(rgb, mask)`.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from skimage.measure import label

from atlas_resources.measures.masks.convexity import convex_area
from atlas_resources.measures.windows import bounding_box

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class MaskMeasures:
    """Where a segment lies and how it hangs together. Pixels touch along edges and at corners (8-connectivity).

    Attributes:
        area_px: pixels of the segment.
        area_ratio: area_px over the pixels of the picture, 0..1.
        x_min, y_min: first column and row with a pixel of the segment.
        x_max, y_max: one past the last, so that x_max - x_min is the width in pixels.
        centroid_x, centroid_y: mean of pixel centres, 0..1 of the picture's width and height.
        component_count: connected pieces.
        fragmentation_score: 1 - area of the largest piece / area_px; 0 for one piece, towards 1 for dust.
        hole_count: pieces of background (4-connected) that the segment encloses.
        solidity: area_px over the area of the convex hull of all its pixels' squares, 0..1; 1 for what is convex.
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
    """A mask kept as its smallest box: large pictures have many small segments.

    Attributes:
        pixels: bool [h, w], True on the segment; each edge has a True pixel.
        top, left: of the box in the picture, pixels.
        height, width: of the picture, pixels.
    """

    pixels: Mask
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class EncodedMask:
    """A mask as COCO's compressed run lengths, column by column.

    Attributes:
        height, width: of the mask, pixels.
        counts: the run lengths in COCO's printable coding, ASCII.
        sha256: over "<height>x<width>:<counts>", hex: equal for equal masks only.
    """

    height: int
    width: int
    counts: str
    sha256: str


def part_of(mask: Mask) -> Part:
    """A mask, bool [H, W], as its smallest box.

    Raises:
        ValueError: the array is not a mask, or no pixel of it is True.
    """
    height, width = _require_mask(mask).shape
    rows, columns = bounding_box(mask)
    if rows.stop == 0:
        raise ValueError(f"a segment has at least one pixel, found an empty mask {list(mask.shape)}")
    return Part(mask[rows, columns], rows.start, columns.start, height, width)


def measure_mask(mask: Mask) -> MaskMeasures:
    """Measures a segment, bool [H, W]. Raises what `part_of` raises."""
    return measure_part(part_of(mask))


def measure_part(part: Part) -> MaskMeasures:
    """Measures a segment by its box alone."""
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
        solidity=min(1.0, area_px / convex_area(crop)),  # the hull's area is rounded, the segment's is not
        is_touching_border=top == 0 or left == 0 or bottom == part.height or right == part.width,
    )


def encode_mask(mask: Mask) -> EncodedMask:
    """Encodes a mask, bool [H, W], which may be empty; an array of another kind raises ValueError."""
    if _require_mask(mask).any():
        return encode_part(part_of(mask))
    height, width = mask.shape
    return _encoded(height, width, np.array([mask.size]))


def encode_part(part: Part) -> EncodedMask:
    """Encodes a segment by its box alone."""
    # COCO runs down the columns: those of the box, at the picture's height.
    columns = np.zeros((part.pixels.shape[1], part.height), bool)
    columns[:, part.top : part.top + part.pixels.shape[0]] = part.pixels.T
    turns = np.flatnonzero(np.diff(columns.ravel(), prepend=False, append=False)) + part.left * part.height
    total = part.height * part.width
    ends = turns if turns[-1] == total else np.append(turns, total)
    return _encoded(part.height, part.width, np.diff(ends, prepend=0))


def _encoded(height: int, width: int, runs: NDArray[np.integer]) -> EncodedMask:
    """Run lengths, the first without the segment, in COCO's coding."""
    whole: Any = {"size": [height, width], "counts": runs.tolist()}
    packed = coco.frPyObjects(whole, height, width)
    counts = str(cast(bytes, packed["counts"]), "ascii")
    digest = hashlib.sha256(f"{height}x{width}:{counts}".encode("ascii")).hexdigest()
    return EncodedMask(height, width, counts, digest)


def decode_mask(encoded: EncodedMask) -> Mask:
    """The mask bool [H, W], in row order, that `encode_mask` encoded."""
    by_column = coco.decode({"size": [encoded.height, encoded.width], "counts": encoded.counts})
    return np.ascontiguousarray(by_column).view(np.bool_)


def intersection_over_union(one: Mask, other: Mask) -> float:
    """Pixels in both masks over pixels in either, 0..1 (the Jaccard index).

    Args:
        one: bool [H, W].
        other: bool [H, W], of the same shape.

    Raises:
        ValueError: the shapes differ, or both masks are empty, for which the ratio is not defined.
    """
    if _require_mask(one).shape != _require_mask(other).shape:
        raise ValueError(f"masks of one shape are needed, found {list(one.shape)} and {list(other.shape)}")
    union_px = np.count_nonzero(one | other)
    if union_px == 0:
        raise ValueError("intersection over union of two empty masks is not defined")
    return np.count_nonzero(one & other) / union_px


def _require_mask(mask: Mask) -> Mask:
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise ValueError(f"a mask is bool [H, W], found {mask.dtype} {list(mask.shape)}")
    return mask


def _mean_position(pixels: NDArray[np.integer]) -> float:
    """Mean position of pixel centres along an axis, from the pixels at each index: the centre of index 0 is at 0.5."""
    return int(pixels @ np.arange(len(pixels))) / int(pixels.sum()) + 0.5


def _euler_number(mask: Mask) -> int:
    """Pieces less holes at 8-connectivity, from the 2 x 2 windows alone.

    S. B. Gray, "Local properties of binary images in two dimensions", IEEE Trans. Computers 20 (1971) 551-561:
    E = (Q1 - Q3 - 2 QD) / 4, of windows with one pixel, with three, and with two at a diagonal.
    """
    padded = np.pad(mask, 1).view(np.uint8)
    windows = padded[:-1, :-1] + 2 * padded[:-1, 1:] + 4 * padded[1:, :-1] + 8 * padded[1:, 1:]
    count = np.bincount(windows.ravel(), minlength=16)
    one, three, diagonal = (int(count[list(kind)].sum()) for kind in ((1, 2, 4, 8), (7, 11, 13, 14), (6, 9)))
    return (one - three - 2 * diagonal) // 4
