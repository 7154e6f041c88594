"""The colour census: how many pixels have each 24-bit colour, in one pass over a picture.

Every fact of colour that does not ask where a pixel lies follows from it exactly, at the cost of the distinct
colours and not of the pixels. What follows lies in the modules `levels`, `lab`, `palette` and `paper`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from atlas_resources.measures.colour.luma import luma
from atlas_resources.measures.windows import bounding_box, row_strips

# Bounds what counting needs beside the picture: 4 bytes of code a pixel, and as much again to sort them.
STRIP_PIXELS = 1 << 25

# Bounds the temporaries of the conversion to Lab, which are several times its result.
LAB_CHUNK_COLOURS = 1 << 16


@dataclass(frozen=True, eq=False)
class ColourCensus:
    """Exact counts of the distinct 8-bit sRGB colours of some pixels.

    Attributes:
        codes: uint32 [K], ascending, each once: R * 65536 + G * 256 + B.
        counts: int64 [K], pixels of each colour, all > 0.
    """

    codes: NDArray[np.uint32]
    counts: NDArray[np.int64]

    @cached_property
    def pixel_count(self) -> int:
        """Pixels counted."""
        return int(self.counts.sum())

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """uint8 [K, 3]: the distinct colours in R, G, B order."""
        return np.stack([self.codes >> 16, self.codes >> 8 & 255, self.codes & 255], axis=1).astype(np.uint8)

    @cached_property
    def luma(self) -> NDArray[np.uint8]:
        """uint8 [K]: Rec. 709 luma of each distinct colour."""
        return luma(self.rgb)

    @cached_property
    def lab(self) -> NDArray[np.float64]:
        """float64 [K, 3]: CIE L*a*b* (D65, 2 degree observer) of each distinct colour, by scikit-image."""
        lab = np.empty((len(self.codes), 3))
        for chunk in row_strips(len(lab), 1, LAB_CHUNK_COLOURS):
            lab[chunk] = rgb2lab(self.rgb[chunk] / 255)
        return lab

    def histogram(self, levels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Counts pixels by a level that each distinct colour has: `census.rgb[:, 0]`, `census.luma`.

        Args:
            levels: uint8 [K], one level for each distinct colour.

        Returns:
            int64 [256], summing to pixel_count. Exact: the float64 that NumPy sums in holds integers up to 2 ** 53.
        """
        return np.bincount(levels, weights=self.counts, minlength=256).astype(np.int64)


def count_colours(rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> ColourCensus:
    """Counts the pixels of each distinct colour, over every pixel or over those of a mask.

    Args:
        rgb: uint8 [H, W, 3], 8-bit sRGB in R, G, B order.
        mask: bool [H, W]; pixels where it is False are left out. An empty mask gives an empty census.

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
        # The table below would cost 128 MiB for a mask of a hundred pixels.
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
    """Distinct codes, ascending, and their counts. Sorting 32-bit codes is faster than a table of all 2 ** 24."""
    codes = rgb[..., 0] * np.uint32(1 << 16)
    codes += rgb[..., 1] * np.uint32(1 << 8)
    codes += rgb[..., 2]
    return np.unique(codes if mask is None else codes[mask], return_counts=True)
