"""The colours of one segment, from the census of its pixels: luminance, Lab, palette, difference from the paper."""

from dataclasses import dataclass

import numpy as np
from skimage.color import deltaE_ciede2000

from atlas_resources.measures.colour.census import ColourCensus
from atlas_resources.measures.colour.lab import mean_lab
from atlas_resources.measures.colour.levels import describe_levels, percentile_level
from atlas_resources.measures.colour.palette import PaletteColour, dominant_colours
from atlas_resources.measures.colour.paper import Lab, PaperSplit


@dataclass(frozen=True)
class SegmentColours:
    """Colours of the pixels inside a mask. Lab is CIE L*a*b*, D65, 2 degree observer.

    Attributes:
        luminance_mean, luminance_std: mean, 0..255, and population standard deviation, 0..127.5, of Rec. 709 luma.
        luminance_p01, luminance_p99: percentiles of luma, 0..255 (see `percentile_level`).
        lab_mean: mean Lab.
        chroma_mean: mean chroma of the pixels, sqrt(a^2 + b^2).
        paper_ratio: share of the pixels, 0..1, whose luma is above the plate's threshold, as that of its paper is.
        paper_difference: CIEDE2000 between lab_mean and the mean of the plate's paper; None if the plate has no paper.
        palette: dominant colours, the largest share first.
    """

    luminance_mean: float
    luminance_std: float
    luminance_p01: int
    luminance_p99: int
    lab_mean: Lab
    chroma_mean: float
    paper_ratio: float
    paper_difference: float | None
    palette: tuple[PaletteColour, ...]


def describe_colours(census: ColourCensus, paper: PaperSplit, most_colours: int) -> SegmentColours:
    """Describes the pixels of a segment.

    Args:
        census: of the segment's pixels, at least one.
        paper: the split of the whole plate into paper and print.
        most_colours: most colours of the palette.

    Raises:
        ValueError: the census is empty.
    """
    histogram = census.luma_histogram
    levels = describe_levels(histogram)
    lab = mean_lab(census.lab, census.counts)
    chroma = (np.hypot(census.lab[:, 1], census.lab[:, 2]) * census.counts).sum() / census.pixel_count
    return SegmentColours(
        luminance_mean=levels.mean,
        luminance_std=levels.std,
        luminance_p01=percentile_level(histogram, 1),
        luminance_p99=percentile_level(histogram, 99),
        lab_mean=lab,
        chroma_mean=float(chroma),
        paper_ratio=paper_ratio(census, paper),
        paper_difference=None if paper.paper_lab is None else float(deltaE_ciede2000(lab, paper.paper_lab)),
        palette=dominant_colours(census, most_colours),
    )


def paper_ratio(census: ColourCensus, paper: PaperSplit) -> float:
    """Share of a census's pixels, 0..1, whose luma is above the plate's threshold."""
    return int(census.counts[census.luma > paper.threshold].sum()) / census.pixel_count
