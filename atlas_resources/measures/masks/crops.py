"""Cutting a segment out of its picture: which box, and what stands around it. Who looks at it lies elsewhere."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Tone = tuple[int, int, int]


@dataclass(frozen=True)
class CropBox:
    """A box of pixels, which may reach beyond the picture; x_max and y_max are one past the last pixel."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int


def crop_box(segment: CropBox, padding_ratio: float, shape: Literal["box", "square"]) -> CropBox:
    """The box around a segment's own.

    Args:
        segment: the segment's bounding box, in pixels.
        padding_ratio: added on every side, as a share of the longer side, rounded half to even.
        shape: `square` widens the shorter side about the middle, an odd pixel on the right or below.
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
    """The pixels of a box.

    Args:
        rgb: uint8 [H, W, 3].
        box: may reach beyond the picture.
        beyond: sRGB of what lies beyond it, and beyond the mask.
        mask: bool [H, W]; what lies outside of it is painted over. None leaves the surroundings as they are.

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
