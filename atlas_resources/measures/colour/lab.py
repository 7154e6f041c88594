"""CIE L*a*b* (D65, 2 degree observer): boxes over it, the 3-D histogram of a census, sums, mean and conversion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.color import lab2rgb

from atlas_resources.measures.colour.census import ColourCensus
from atlas_resources.measures.windows import row_strips

# Arrays of so many colours fit a core's cache, and their memory is used again for the next ones.
CHUNK_COLOURS = 1 << 14


@dataclass(frozen=True)
class LabGrid:
    """Boxes of equal size over CIE L*a*b* (D65, 2 degree observer).

    Attributes:
        bins: number of boxes along L, a and b.
        l_range, a_range, b_range: lower edge of the first box and upper edge of the last.
    """

    bins: tuple[int, int, int]
    l_range: tuple[float, float]
    a_range: tuple[float, float]
    b_range: tuple[float, float]

    @property
    def size(self) -> int:
        """Number of boxes."""
        return int(np.prod(self.bins))

    def box_of(self, lab: NDArray[np.float64]) -> NDArray[np.int64]:
        """Index of the box that holds each colour. Colours beyond a range are in the first or the last box.

        Args:
            lab: float64 [K, 3], L, a, b.

        Returns:
            int64 [K], 0..size - 1, flattened in L, a, b order, b fastest. A box includes its lower edges; the last one
            includes its upper edge too.
        """
        flat = np.zeros(len(lab), np.int64)
        for part in row_strips(len(lab), 1, CHUNK_COLOURS):
            for axis, (low, high) in enumerate((self.l_range, self.a_range, self.b_range)):
                bins = self.bins[axis]
                position = np.floor((lab[part, axis] - low) * (bins / (high - low)))
                flat[part] = flat[part] * bins + np.clip(position, 0, bins - 1).astype(np.int64)
        return flat


# The grid holds all of sRGB (a -86.2..98.2, b -107.9..94.5), and greys are in the middle of a box along a and b.
# Papers of printed plates differ in L (70..99) and in b (0..27, from white to browned), but hardly in a (-8..9). Boxes
# of 5 in L, 8 in b and 16 in a tell white, ivory, cream and browned paper apart with 6,240 counts.
HISTOGRAM_GRID = LabGrid(bins=(20, 12, 26), l_range=(0, 100), a_range=(-88, 104), b_range=(-108, 100))


@dataclass(frozen=True)
class LabHistogram:
    """Pixels in each box of a `LabGrid`; `counts` is flattened in L, a, b order, b fastest."""

    bins: tuple[int, int, int]
    l_range: tuple[float, float]
    a_range: tuple[float, float]
    b_range: tuple[float, float]
    counts: tuple[int, ...]


def lab_histogram(census: ColourCensus, grid: LabGrid = HISTOGRAM_GRID) -> LabHistogram:
    """Counts the pixels of a census by the box of their colour. The counts sum to pixel_count."""
    counts = np.bincount(grid.box_of(census.lab), weights=census.counts, minlength=grid.size).astype(np.int64)
    return LabHistogram(grid.bins, grid.l_range, grid.a_range, grid.b_range, tuple(counts.tolist()))


def sum_by_label(
    sums: NDArray[np.float64], pixels: NDArray[np.int64], labels: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Adds up colours that have the same label. Labels that no colour has are left out.

    Args:
        sums: float64 [K, 3], the sum of L, a, b over the pixels of each colour.
        pixels: int64 [K], pixels of each colour, at least 1.
        labels: [K], from 0.

    Returns:
        The sums [N, 3] and the pixels [N] of each label, in ascending order.
    """
    # Of half a million boxes some ten thousand have colours: labels without gaps need less memory than the boxes.
    labels = (np.cumsum(np.bincount(labels) > 0, dtype=np.int32) - 1)[labels]
    sums_by_axis = [np.bincount(labels, weights=sums[:, axis]) for axis in range(3)]
    return np.stack(sums_by_axis, axis=1, dtype=np.float64), np.bincount(labels, weights=pixels).astype(np.int64)


def mean_lab(lab: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float, float]:
    """Mean CIE L*a*b* of pixels: L, a, b.

    Args:
        lab: float64 [K, 3], at least one colour.
        counts: int64 [K], pixels of each colour.
    """
    # A sum, since the last digits of a matrix product depend on the number of threads.
    lightness, a, b = ((lab * counts[:, None]).sum(axis=0) / counts.sum()).tolist()
    return lightness, a, b


def srgb8_of(lab: ArrayLike) -> tuple[int, int, int]:
    """A CIE L*a*b* colour [3] as 8-bit sRGB: R, G, B, rounded. Colours beyond sRGB are clipped to it."""
    red, green, blue = np.rint(np.clip(lab2rgb(np.asarray(lab, np.float64)), 0, 1) * 255).astype(int).tolist()
    return red, green, blue


def srgb_hex_of(lab: ArrayLike) -> str:
    """A CIE L*a*b* colour [3] as `srgb8_of` gives it, written "#rrggbb"."""
    red, green, blue = srgb8_of(lab)
    return f"#{red:02x}{green:02x}{blue:02x}"
