"""Paper against what is printed on it, told apart by luminance alone. Segments of a picture lie in `segments`."""

from dataclasses import dataclass

from atlas_resources.measures.colour.census import ColourCensus
from atlas_resources.measures.colour.lab import mean_lab
from atlas_resources.measures.colour.levels import otsu_threshold

Lab = tuple[float, float, float]


@dataclass(frozen=True)
class PaperSplit:
    """The two sides of Otsu's threshold on 8-bit luma.

    Attributes:
        threshold: 0..255; pixels above it are paper, the others foreground.
        paper_ratio, foreground_ratio: shares of the pixels, summing to 1.
        paper_lab: mean CIE L*a*b* (D65, 2 degree observer) of the paper; None where there is none.
        foreground_lab: mean of the rest, which is never empty.
    """

    threshold: int
    paper_ratio: float
    paper_lab: Lab | None
    foreground_ratio: float
    foreground_lab: Lab

    @property
    def tone(self) -> Lab:
        """The ground's mean Lab: the paper's, or the whole picture's where nothing of it is paper."""
        return self.paper_lab or self.foreground_lab


def split_paper(census: ColourCensus) -> PaperSplit:
    """Splits the pixels of a census into paper, above Otsu's threshold on luma, and foreground.

    The split is of tones, not of things: white plumage counts as paper, a dark sheet as foreground. A picture of one
    luma has nothing above its threshold and is all foreground.

    Raises:
        ValueError: the census is empty.
    """
    threshold = otsu_threshold(census.histogram(census.luma))
    is_paper = census.luma > threshold
    paper_px = int(census.counts[is_paper].sum())
    return PaperSplit(
        threshold=threshold,
        paper_ratio=paper_px / census.pixel_count,
        paper_lab=mean_lab(census.lab[is_paper], census.counts[is_paper]) if paper_px else None,
        foreground_ratio=(census.pixel_count - paper_px) / census.pixel_count,
        # The darkest pixels never lie above the threshold, so the foreground is never empty.
        foreground_lab=mean_lab(census.lab[~is_paper], census.counts[~is_paper]),
    )
