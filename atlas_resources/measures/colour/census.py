"""The colour census: how many pixels have each 24-bit colour, in one pass over a picture.

Everything about colour that does not depend on the positions of pixels follows from it exactly. The cost then grows
with the number of distinct colours, and not of pixels.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from atlas_resources.measures.colour.luma import luma
from atlas_resources.measures.windows import bounding_box, row_strips

# Bounds the memory that counting needs besides the picture: 4 bytes a pixel for its code, and as much again to sort.
STRIP_PIXELS = 1 << 25

# Bounds the temporary arrays of the conversion to Lab, which are several times as large as its result.
LAB_CHUNK_COLOURS = 1 << 16


@dataclass(frozen=True, eq=False)
class ColourCensus:
    """Exact counts of the distinct 8-bit sRGB colours of some pixels.

    Attributes:
        codes: uint32 [K], R * 65536 + G * 256 + B, unique and ascending.
        counts: int64 [K], pixels of each colour, all at least 1.
    """

    codes: NDArray[np.uint32]
    counts: NDArray[np.int64]

    @cached_property
    def pixel_count(self) -> int:
        """Number of pixels counted."""
        return int(self.counts.sum())

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """uint8 [K, 3]: the distinct colours in R, G, B order."""
        return np.stack([self.codes >> 16, self.codes >> 8 & 255, self.codes & 255], axis=1).astype(np.uint8)

    @cached_property
    def luma(self) -> NDArray[np.uint8]:
        """uint8 [K]: Rec. 709 luma of each distinct colour, 0..255."""
        return luma(self.rgb)

    @cached_property
    def lab(self) -> NDArray[np.float64]:
        """float64 [K, 3]: CIE L*a*b* (D65, 2 degree observer) of each distinct colour, by scikit-image."""
        lab = np.empty((len(self.codes), 3))
        for chunk in row_strips(len(lab), 1, LAB_CHUNK_COLOURS):
            lab[chunk] = rgb2lab(self.rgb[chunk] / 255)
        return lab

    def histogram(self, levels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Counts pixels by level.

        Args:
            levels: uint8 [K], the level of each distinct colour, such as `census.rgb[:, 0]` or `census.luma`.

        Returns:
            int64 [256], summing to pixel_count. It is exact: NumPy sums in float64, which holds integers up to 2 ** 53.
        """
        return np.bincount(levels, weights=self.counts, minlength=256).astype(np.int64)


def count_colours(rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> ColourCensus:
    """Counts the pixels of each distinct colour.

    Args:
        rgb: uint8 [H, W, 3], 8-bit sRGB in R, G, B order.
        mask: bool [H, W]; only its True pixels are counted. None counts all. An empty mask gives an empty census.

    Raises:
        ValueError: an array is not of that dtype and shape.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"count_colours needs uint8 [H, W, 3] sRGB, found {rgb.dtype} {list(rgb.shape)}")
    if mask is not None and (mask.dtype != np.bool_ or mask.shape != rgb.shape[:2]):
        raise ValueError(f"the mask must be bool {list(rgb.shape[:2])}, found {mask.dtype} {list(mask.shape)}")
    if mask is not None:
        box = bounding_box(mask)
        rgb, mask = rgb[box], mask[box]
    height, width = rgb.shape[:2]
    strips = list(row_strips(height, width, STRIP_PIXELS))
    if len(strips) <= 1:
        # The table below takes 128 MiB, however few pixels there are.
        return ColourCensus(*_count_strip(rgb, mask))
    table = np.zeros(1 << 24, np.int64)
    for rows in strips:
        codes, counts = _count_strip(rgb[rows], None if mask is None else mask[rows])
        table[codes] += counts
    codes = np.flatnonzero(table).astype(np.uint32)
    return ColourCensus(codes, table[codes])


def _count_strip(
    rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Distinct codes, ascending, and their counts. Sorting the codes is faster than filling a table of 2 ** 24."""
    codes = rgb[..., 0] * np.uint32(1 << 16)
    codes += rgb[..., 1] * np.uint32(1 << 8)
    codes += rgb[..., 2]
    return np.unique(codes if mask is None else codes[mask], return_counts=True)
