"""Paper and print, separated by luminance alone."""

from dataclasses import dataclass

import numpy as np

from atlas_resources.measures.colour.census import ColourCensus
from atlas_resources.measures.colour.lab import srgb_hex_of, sum_by_label
from atlas_resources.measures.colour.levels import otsu_threshold

Lab = tuple[float, float, float]


@dataclass(frozen=True)
class PaperSplit:
    """The two sides of Otsu's threshold on 8-bit luma.

    Attributes:
        threshold: 0..255; pixels above it are paper, the others are foreground.
        paper_ratio, foreground_ratio: shares of the pixels, 0..1, summing to 1.
        paper_lab: mean CIE L*a*b* (D65, 2 degree observer) of the paper; None if there is no paper.
        paper_srgb_hex: the same colour as 8-bit sRGB, "#rrggbb".
        foreground_lab: mean CIE L*a*b* of the foreground, which is never empty.
        foreground_srgb_hex: the same colour as 8-bit sRGB.
    """

    threshold: int
    paper_ratio: float
    paper_lab: Lab | None
    paper_srgb_hex: str | None
    foreground_ratio: float
    foreground_lab: Lab
    foreground_srgb_hex: str

    @property
    def tone(self) -> Lab:
        """Mean Lab of the paper, or of the whole picture if it has no paper."""
        return self.paper_lab or self.foreground_lab


def split_paper(census: ColourCensus) -> PaperSplit:
    """Splits the pixels of a census at Otsu's threshold on luma: the lighter ones are paper, the others foreground.

    Only tones are compared: white plumage counts as paper, a dark sheet as foreground. A picture of a single luma is
    all foreground.

    Raises:
        ValueError: the census is empty.
    """
    threshold = otsu_threshold(census.luma_histogram)
    is_paper = census.luma > threshold
    sums, pixels = sum_by_label(census.lab_sums, census.counts, is_paper.astype(np.intp))
    # The darkest pixels are never above the threshold, so there is always a foreground.
    foreground_lab, *paper_labs = ((lightness, a, b) for lightness, a, b in (sums / pixels[:, None]).tolist())
    paper_lab, paper_px = next(iter(paper_labs), None), int(pixels[1:].sum())
    return PaperSplit(
        threshold=threshold,
        paper_ratio=paper_px / census.pixel_count,
        paper_lab=paper_lab,
        paper_srgb_hex=srgb_hex_of(paper_lab) if paper_lab else None,
        foreground_ratio=(census.pixel_count - paper_px) / census.pixel_count,
        foreground_lab=foreground_lab,
        foreground_srgb_hex=srgb_hex_of(foreground_lab),
    )
