"""Counting a census in CIE L*a*b*: the grid that cuts Lab into boxes, and the 3-D histogram over it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.color import lab2rgb

from atlas_resources.measures.colour.census import ColourCensus


@dataclass(frozen=True)
class LabGrid:
    """Boxes of equal size over CIE L*a*b* (D65, 2 degree observer).

    Attributes:
        bins: boxes along L, a, b.
        l_range, a_range, b_range: from the lower edge of the first box to the upper edge of the last.
    """

    bins: tuple[int, int, int]
    l_range: tuple[float, float]
    a_range: tuple[float, float]
    b_range: tuple[float, float]

    @property
    def size(self) -> int:
        """Boxes in all."""
        return int(np.prod(self.bins))

    def box_of(self, lab: NDArray[np.float64]) -> NDArray[np.int64]:
        """Flat index (b fastest) of the box each colour lies in; a colour beyond a range lies in the end box.

        Args:
            lab: float64 [K, 3], L, a, b.

        Returns:
            int64 [K], 0..size - 1. A box holds its lower edges, and the last one its upper edge too.
        """
        flat = np.zeros(len(lab), np.int64)
        for axis, (low, high) in enumerate((self.l_range, self.a_range, self.b_range)):
            bins = self.bins[axis]
            position = np.floor((lab[:, axis] - low) * (bins / (high - low)))
            flat = flat * bins + np.clip(position, 0, bins - 1).astype(np.int64)
        return flat


# All of sRGB fits (a -86.2..98.2, b -107.9..94.5), and greys fall in the middle of a box of a and b, not on an edge.
# Papers of printed plates differ in L (70..99) and in b (0..27, from white to browned), hardly in a (-8..9): so boxes
# are 5 wide in L, 8 in b and 16 in a, which tells white, ivory, cream and browned paper apart in 6,240 counts.
HISTOGRAM_GRID = LabGrid(bins=(20, 12, 26), l_range=(0, 100), a_range=(-88, 104), b_range=(-108, 100))


@dataclass(frozen=True)
class LabHistogram:
    """Pixels of each box of a grid over CIE L*a*b*; `counts` is flattened in L, a, b order, b fastest."""

    bins: tuple[int, int, int]
    l_range: tuple[float, float]
    a_range: tuple[float, float]
    b_range: tuple[float, float]
    counts: tuple[int, ...]


def lab_histogram(census: ColourCensus, grid: LabGrid = HISTOGRAM_GRID) -> LabHistogram:
    """Counts every pixel of a census by the Lab box of its colour; the counts sum to pixel_count."""
    counts = np.bincount(grid.box_of(census.lab), weights=census.counts, minlength=grid.size).astype(np.int64)
    return LabHistogram(grid.bins, grid.l_range, grid.a_range, grid.b_range, tuple(counts.tolist()))


def mean_lab(lab: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float, float]:
    """Mean CIE L*a*b* of pixels.

    Args:
        lab: float64 [K, 3], at least one colour.
        counts: int64 [K], pixels of each colour.
    """
    # A sum and not a matrix product, whose last digits would depend on the number of threads.
    lightness, a, b = ((lab * counts[:, None]).sum(axis=0) / counts.sum()).tolist()
    return lightness, a, b


def srgb8_of(lab: ArrayLike) -> tuple[int, int, int]:
    """The 8-bit sRGB nearest to a CIE L*a*b* colour (D65, 2 degree observer); what lies beyond sRGB is clipped."""
    red, green, blue = np.rint(np.clip(lab2rgb(np.asarray(lab, np.float64)), 0, 1) * 255).astype(int).tolist()
    return red, green, blue
