"""The colour census: how many pixels have each 24-bit colour, in one pass over a picture.

Everything about colour that does not depend on the positions of pixels follows from it exactly. The cost then grows
with the number of distinct colours, and not of pixels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from atlas_resources.measures.colour.luma import luma
from atlas_resources.measures.windows import bounding_box, row_strips

COLOURS = 1 << 24

# From here on, a table of all colours is faster than sorting. It takes 64 MiB.
TABLE_PIXELS = 1 << 21

_TABLES: list[NDArray[np.int32]] = []
"""Tables of zeros that no thread counts in now, as many as threads have counted at the same time."""

# Strips of this size fit a core's cache, and so do the booleans of a part of the table.
STRIP_PIXELS = 1 << 17
TABLE_CHUNK = 1 << 20

# Bounds the temporary arrays of the conversion to Lab, which are several times as large as its result. From some 29,000
# on, OpenBLAS multiplies by 3 x 3 on all cores, whose second waits more than it works.
LAB_CHUNK_COLOURS = 1 << 14


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
        """uint8 [K, 3]: the distinct colours in R, G, B order. The numbers of a channel are side by side in memory."""
        return np.stack([self.codes >> 16, self.codes >> 8 & 255, self.codes & 255]).astype(np.uint8).T

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

    @cached_property
    def lab_sums(self) -> NDArray[np.float64]:
        """float64 [K, 3]: the sum of CIE L*a*b* over the pixels of each distinct colour."""
        return self.lab * self.counts[:, None]

    @cached_property
    def rgb_histograms(self) -> NDArray[np.int64]:
        """int64 [3, 256]: pixels of each level of red, green and blue; each row sums to pixel_count."""
        return np.stack([self._histogram(levels) for levels in self.rgb.T])

    @cached_property
    def luma_histogram(self) -> NDArray[np.int64]:
        """int64 [256]: pixels of each level of Rec. 709 luma."""
        return self._histogram(self.luma)

    def _histogram(self, levels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Pixels by the level of their colour, uint8 [K]. Exact: float64 holds all integers up to 2 ** 53."""
        return np.bincount(levels, weights=self.counts, minlength=256).astype(np.int64)


def count_colours(rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> ColourCensus:
    """Counts the pixels of each distinct colour.

    Args:
        rgb: uint8 [H, W, 3], 8-bit sRGB in R, G, B order; or [H, W, 4], whose fourth number is ignored, as
            `pixels_of` gives it, in two thirds of the time.
        mask: bool [H, W]; only its True pixels are counted. None counts all. An empty mask gives an empty census.

    Raises:
        ValueError: an array is not of that dtype and shape.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] not in (3, 4):
        raise ValueError(f"count_colours needs uint8 [H, W, 3] or [H, W, 4] sRGB, found {rgb.dtype} {list(rgb.shape)}")
    if mask is not None and (mask.dtype != np.bool_ or mask.shape != rgb.shape[:2]):
        raise ValueError(f"the mask must be bool {list(rgb.shape[:2])}, found {mask.dtype} {list(mask.shape)}")
    if mask is not None:
        box = bounding_box(mask)
        rgb, mask = rgb[box], mask[box]
    pixels = rgb.shape[0] * rgb.shape[1]
    return ColourCensus(*(_sort(rgb, mask) if pixels < TABLE_PIXELS else _tabulate(rgb, mask)))


def _sort(rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Distinct codes, ascending, and their counts, by sorting the codes of all pixels."""
    codes = _codes_of(rgb, mask).astype(np.uint32)
    return np.unique(codes, return_counts=True)


def _tabulate(rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The same by a table of all 2 ** 24 colours, in one pass; int32 counts more pixels than a picture may have."""
    with _table_of_zeros() as table:
        for rows in row_strips(rgb.shape[0], rgb.shape[1], STRIP_PIXELS):
            np.add.at(table, _codes_of(rgb[rows], None if mask is None else mask[rows]).reshape(-1), np.int32(1))
        codes = np.concatenate([_counted(table, part) for part in row_strips(COLOURS, 1, TABLE_CHUNK)])
        counts = table[codes].astype(np.int64)
        table[codes] = 0
    return codes, counts


def _counted(table: NDArray[np.int32], part: slice) -> NDArray[np.uint32]:
    """uint32 [N]: the codes of a part of the table that were counted. Found in booleans, which is faster by four."""
    return (np.flatnonzero(table[part] != 0) + part.start).astype(np.uint32)


@contextmanager
def _table_of_zeros() -> Iterator[NDArray[np.int32]]:
    """int32 [2 ** 24], zeros, as it must be left. It is used again: for a new one, the kernel has to clear 64 MiB."""
    try:
        table = _TABLES.pop()
    except IndexError:
        table = np.zeros(COLOURS, np.int32)
    yield table  # one that an error ends in the middle is not kept
    _TABLES.append(table)


def _codes_of(rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    """intp, R * 65536 + G * 256 + B of the pixels that the mask, if there is one, has: [H, W], or [N] with a mask."""
    if rgb.shape[2] == 4 and rgb.strides[2] == 1:
        codes = rgb.view(">u4")[..., 0].astype(np.intp)  # four bytes as one number, the first the most significant
        codes >>= 8
    else:
        codes = rgb[..., 0].astype(np.intp)
        for channel in (1, 2):
            codes <<= 8
            codes |= rgb[..., channel]
    return codes if mask is None else codes[mask]
