"""Scalars and counts that follow from a picture's colour census.

Fields have the names that they have in `input_image.json` and `input_color_histograms.json`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas_resources.measures.colour.census import ColourCensus
from atlas_resources.measures.colour.extremes import Extremes, count_extremes
from atlas_resources.measures.colour.lab import LabHistogram, lab_histogram
from atlas_resources.measures.colour.levels import describe_levels, percentile_level
from atlas_resources.measures.colour.palette import DominantColour, dominant_colours_with_spread
from atlas_resources.measures.colour.paper import PaperSplit, split_paper

# Definitions of `input_image.json`.
BACKGROUND_LEVEL = 245  # every channel of a background pixel is at least this
GREY_SPREAD = 8  # the channels of a grey pixel differ by at most this
GREY_PERCENT = 99  # a picture is like greyscale if at least this share of its pixels is grey

PerChannel = tuple[float, float, float]


@dataclass(frozen=True)
class Tones:
    """Scalars of 8-bit sRGB pixels, over every pixel. Luminance is 8-bit Rec. 709 luma.

    The white, black and clipped ratios of a 16-bit scan are of its 16-bit samples; see `Extremes`.

    Attributes:
        mean_rgb, min_rgb, max_rgb: 0..255.
        std_rgb: population standard deviations, 0..127.5.
        luminance_mean, luminance_std: 0..255, 0..127.5.
        luminance_entropy: bits, 0..8.
        luminance_p01, luminance_p99: percentiles, 0..255 (see `percentile_level`).
        background_ratio: share of pixels whose channels are all >= 245.
        white_ratio: share of pixels whose channels are all 255 (65535 at 16 bits).
        black_ratio: share of pixels whose channels are all <= 10 (2570 at 16 bits).
        clipped_low_ratio, clipped_high_ratio: share of pixels with any channel at 0 (at 255, or 65535 at 16 bits).
        rms_contrast: luminance_std / 255 (E. Peli, "Contrast in complex images", J. Opt. Soc. Am. A 7, 1990).
        grayscale_like: whether at least 99 % of the pixels have channels within 8 of each other.
    """

    mean_rgb: PerChannel
    std_rgb: PerChannel
    min_rgb: PerChannel
    max_rgb: PerChannel
    luminance_mean: float
    luminance_std: float
    luminance_entropy: float
    luminance_p01: int
    luminance_p99: int
    background_ratio: float
    white_ratio: float
    black_ratio: float
    clipped_low_ratio: float
    clipped_high_ratio: float
    rms_contrast: float
    grayscale_like: bool


@dataclass(frozen=True)
class ColourCounts:
    """Exact counts over every pixel, the palette, and the split into paper and print.

    Attributes:
        pixel_count: each histogram sums to it.
        red, green, blue: pixels of each of the 256 levels, 8-bit sRGB.
        luminance: pixels of each level of 8-bit Rec. 709 luma.
        lab: 3-D histogram over CIE L*a*b* (D65, 2 degree observer).
        dominant_colours: the palette, largest share first.
        paper: the split into paper and print.
    """

    pixel_count: int
    red: tuple[int, ...]
    green: tuple[int, ...]
    blue: tuple[int, ...]
    luminance: tuple[int, ...]
    lab: LabHistogram
    dominant_colours: tuple[DominantColour, ...]
    paper: PaperSplit


def measure_tones(census: ColourCensus, extremes: Extremes | None = None) -> Tones:
    """Scalars of the pixels of a census.

    Args:
        census: of the 8-bit sRGB pixels.
        extremes: of the same pixels at 16 bits; None counts them in the census.

    Raises:
        ValueError: the census is empty.
    """
    extremes = extremes or count_extremes(census.rgb, census.counts)
    red, green, blue = map(describe_levels, census.rgb_histograms)
    luminance = describe_levels(census.luma_histogram)
    lowest, highest = census.rgb.min(axis=1), census.rgb.max(axis=1)
    grey_px = _pixels_where(census, highest - lowest <= GREY_SPREAD)
    return Tones(
        mean_rgb=(red.mean, green.mean, blue.mean),
        std_rgb=(red.std, green.std, blue.std),
        min_rgb=(red.minimum, green.minimum, blue.minimum),
        max_rgb=(red.maximum, green.maximum, blue.maximum),
        luminance_mean=luminance.mean,
        luminance_std=luminance.std,
        luminance_entropy=luminance.entropy_bits,
        luminance_p01=percentile_level(census.luma_histogram, 1),
        luminance_p99=percentile_level(census.luma_histogram, 99),
        background_ratio=_pixels_where(census, lowest >= BACKGROUND_LEVEL) / census.pixel_count,
        white_ratio=extremes.white_px / census.pixel_count,
        black_ratio=extremes.black_px / census.pixel_count,
        clipped_low_ratio=extremes.clipped_low_px / census.pixel_count,
        clipped_high_ratio=extremes.clipped_high_px / census.pixel_count,
        rms_contrast=luminance.std / 255,
        grayscale_like=100 * grey_px >= GREY_PERCENT * census.pixel_count,
    )


def measure_colours(census: ColourCensus) -> ColourCounts:
    """Histograms, palette and paper of the pixels of a census. Raises ValueError if it is empty."""
    red, green, blue = map(tuple, census.rgb_histograms.tolist())
    return ColourCounts(
        pixel_count=census.pixel_count,
        red=red,
        green=green,
        blue=blue,
        luminance=tuple(census.luma_histogram.tolist()),
        lab=lab_histogram(census),
        dominant_colours=dominant_colours_with_spread(census),
        paper=split_paper(census),
    )


def _pixels_where(census: ColourCensus, holds: NDArray[np.bool_]) -> int:
    """Number of pixels of the distinct colours for which `holds`, bool [K], is True."""
    return int(census.counts[holds].sum())
