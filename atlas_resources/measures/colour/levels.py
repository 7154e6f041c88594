"""Statistics of 8-bit levels from their histogram of 256 bins: moments, extremes, entropy, percentiles, Otsu."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS = np.arange(256)


@dataclass(frozen=True)
class LevelStatistics:
    """Statistics of 8-bit levels.

    Attributes:
        mean: 0..255.
        std: population standard deviation, 0..127.5.
        minimum: smallest level that occurs.
        maximum: largest level that occurs.
        entropy_bits: Shannon entropy of the 256 bins, 0..8 bits.
    """

    mean: float
    std: float
    minimum: int
    maximum: int
    entropy_bits: float


def describe_levels(histogram: NDArray[np.int64]) -> LevelStatistics:
    """Statistics of the levels that a histogram counts. Sums are of integers, so they are exact.

    Args:
        histogram: int64 [256], pixels of each level.

    Raises:
        ValueError: the histogram counts no pixel.
    """
    pixels = _require_pixels(histogram)
    total = int(histogram @ LEVELS)
    total_of_squares = int(histogram @ LEVELS**2)
    occurring = np.flatnonzero(histogram)
    shares = histogram[occurring] / pixels
    return LevelStatistics(
        mean=total / pixels,
        std=math.sqrt(pixels * total_of_squares - total * total) / pixels,
        minimum=int(occurring[0]),
        maximum=int(occurring[-1]),
        entropy_bits=max(0.0, -float(shares @ np.log2(shares))),
    )


def percentile_level(histogram: NDArray[np.int64], percent: int) -> int:
    """The smallest level L for which at least `percent` % of the pixels have a level of at most L.

    Args:
        histogram: int64 [256], pixels of each level.
        percent: 1..100, an integer, so that the comparison is exact.

    Raises:
        ValueError: the histogram counts no pixel.
    """
    pixels = _require_pixels(histogram)
    return int(np.searchsorted(100 * np.cumsum(histogram), percent * pixels))


def otsu_threshold(histogram: NDArray[np.int64]) -> int:
    """Otsu's threshold: levels <= threshold and levels > threshold are the classes with the greatest variance between.

    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979) 62-66: the level of the
    greatest between-class variance; of equals, the lowest. `skimage.filters.threshold_otsu(hist=...)` gives the same
    level, but counts in float32, which is not exact from 2 ** 24 pixels on.

    Args:
        histogram: int64 [256], pixels of each level.

    Returns:
        0..255. For a histogram with a single level, that level.

    Raises:
        ValueError: the histogram counts no pixel.
    """
    pixels = _require_pixels(histogram)
    first, last = np.flatnonzero(histogram)[[0, -1]]
    if first == last:
        return int(first)
    below = np.cumsum(histogram)[first:last].astype(np.float64)
    sum_below = np.cumsum(histogram * LEVELS)[first:last].astype(np.float64)
    sum_above = float(histogram @ LEVELS) - sum_below
    above = pixels - below
    between_class_variance = below * above * (sum_below / below - sum_above / above) ** 2
    return int(first + np.argmax(between_class_variance))


def _require_pixels(histogram: NDArray[np.int64]) -> int:
    pixels = int(histogram.sum())
    if histogram.shape != (256,) or pixels == 0:
        raise ValueError(f"a histogram of 256 bins and at least one pixel is needed, found {histogram.shape}, {pixels}")
    return pixels
