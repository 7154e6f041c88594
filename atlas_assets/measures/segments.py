"""Measures of one segment given as a mask, its coding as COCO run lengths, and how far two masks agree.

Colours of a segment follow from `count_colours(rgb, mask)`.
"""

import hashlib
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from skimage.measure import label

from atlas_assets.measures.boxes import bounding_box

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
    is_touching_border: bool


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


def measure_mask(mask: Mask) -> MaskMeasures:
    """Measures a segment. Only its bounding box is searched for pieces and holes.

    Args:
        mask: bool [H, W], True on the segment.

    Raises:
        ValueError: the array is not a mask, or no pixel of it is True.
    """
    height, width = _require_mask(mask).shape
    rows, columns = bounding_box(mask)
    crop = mask[rows, columns]
    if crop.size == 0:
        raise ValueError(f"a segment has at least one pixel, found an empty mask {list(mask.shape)}")
    pixels_by_column = np.count_nonzero(crop, axis=0)
    pixels_by_row = np.count_nonzero(crop, axis=1)
    area_px = int(pixels_by_column.sum())
    pieces = np.asarray(label(crop, connectivity=2))
    px_by_piece = np.bincount(pieces[crop])[1:]
    return MaskMeasures(
        area_px=area_px,
        area_ratio=area_px / mask.size,
        x_min=columns.start,
        y_min=rows.start,
        x_max=columns.stop,
        y_max=rows.stop,
        centroid_x=(columns.start + _mean_position(pixels_by_column)) / width,
        centroid_y=(rows.start + _mean_position(pixels_by_row)) / height,
        component_count=len(px_by_piece),
        fragmentation_score=1 - int(px_by_piece.max()) / area_px,
        hole_count=len(px_by_piece) - _euler_number(crop),
        is_touching_border=rows.start == 0 or columns.start == 0 or rows.stop == height or columns.stop == width,
    )


def encode_mask(mask: Mask) -> EncodedMask:
    """Encodes a mask, bool [H, W], which may be empty; an array of another kind raises ValueError."""
    height, width = _require_mask(mask).shape
    # COCO runs down the columns: only the segment's own box is turned into that order.
    by_column = np.zeros((height, width), np.uint8, order="F")
    box = bounding_box(mask)
    by_column[box] = mask[box]
    counts = str(cast(bytes, coco.encode(by_column)["counts"]), "ascii")
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
