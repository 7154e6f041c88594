"""Cutting a segment out of its picture: the box around it, and what fills the box outside the segment."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Tone = tuple[int, int, int]


@dataclass(frozen=True)
class CropBox:
    """A box in pixels, which may reach beyond the picture. x_max and y_max are one past the last pixel."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int


def crop_box(segment: CropBox, padding_ratio: float, shape: Literal["box", "square"]) -> CropBox:
    """The segment's bounding box, padded and, if asked for, made square.

    Args:
        segment: the segment's bounding box.
        padding_ratio: padding on every side, as a share of the longer side. Pixels are rounded half to even.
        shape: `square` widens the shorter side about its middle; an odd pixel is added on the right or below.
    """
    width, height = segment.x_max - segment.x_min, segment.y_max - segment.y_min
    padding = round(padding_ratio * max(width, height))
    across, down = width + 2 * padding, height + 2 * padding
    if shape == "square":
        across = down = max(across, down)
    x_min, y_min = segment.x_min - (across - width) // 2, segment.y_min - (down - height) // 2
    return CropBox(x_min, y_min, x_min + across, y_min + down)


def cut_out(
    rgb: NDArray[np.uint8], box: CropBox, beyond: Tone, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """A copy of the pixels of a box.

    Args:
        rgb: uint8 [H, W, 3], 8-bit sRGB.
        box: may reach beyond the picture.
        beyond: 8-bit sRGB that fills the box beyond the picture and outside the mask.
        mask: bool [H, W]; None keeps all pixels of the picture.

    Returns:
        uint8 [box height, box width, 3].
    """
    height, width = rgb.shape[:2]
    cut = np.empty((box.y_max - box.y_min, box.x_max - box.x_min, 3), np.uint8)
    cut[:] = beyond
    rows, columns = slice(max(0, box.y_min), min(height, box.y_max)), slice(max(0, box.x_min), min(width, box.x_max))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return cut
    inside = cut[rows.start - box.y_min : rows.stop - box.y_min, columns.start - box.x_min : columns.stop - box.x_min]
    if mask is None:
        inside[:] = rgb[rows, columns]
    else:
        inside[mask[rows, columns]] = rgb[rows, columns][mask[rows, columns]]
    return cut
