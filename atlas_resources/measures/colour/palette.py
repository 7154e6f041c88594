"""The dominant colours of pixels: k-means in CIE L*a*b*, from their census."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000

from atlas_resources.measures.colour.census import ColourCensus
from atlas_resources.measures.colour.lab import LabGrid, srgb_hex_of, sum_by_label

MOST_COLOURS = 8

# Colours in the same box, 2 wide, are clustered as their mean, so that k-means has some thousand points. The diagonal
# of a box is 3.5, near the difference below. Means and shares of the palette are of the pixels, so they stay exact.
CLUSTERING_GRID = LabGrid(bins=(50, 96, 104), l_range=(0, 100), a_range=(-91, 101), b_range=(-109, 99))

# Just noticeable difference in CIELAB: M. Mahy, L. Van Eycken, A. Oosterlinck, "Evaluation of uniform color spaces
# developed after the adoption of CIELAB and CIELUV", Color Research & Application 19 (1994) 105-121. The paper gives it
# for the Euclidean difference. Here it bounds CIEDE2000, which is smaller for saturated colours.
JUST_NOTICEABLE_DIFFERENCE = 2.3

K_MEANS_SEED = 0

# The best of four starts is taken. On printed plates, ten starts lower the within-cluster variance by less than 0.5 %.
K_MEANS_STARTS = 4

# For `dominant_colours_with_spread`: how often k-means is repeated, each time with the next seed.
K_MEANS_REPEATS = 4

# Its points: boxes with fewer pixels than this share are clustered in boxes 4 wide, so that a plate has some 2,500
# points and not 10,000. On 48 printed plates the within-cluster variance rises by less than 0.1 %.
RARE_SHARE = 1 / 4000
RARE_GRID = LabGrid(bins=(25, 48, 52), l_range=(0, 100), a_range=(-91, 101), b_range=(-109, 99))


@dataclass(frozen=True)
class PaletteColour:
    """One colour of a palette.

    Attributes:
        lab: CIE L*a*b* (D65, 2 degree observer), the mean of the colour's pixels.
        srgb_hex: the same colour as 8-bit sRGB, "#rrggbb".
        share: share of the pixels, 0..1.
    """

    lab: tuple[float, float, float]
    srgb_hex: str
    share: float


@dataclass(frozen=True)
class DominantColour(PaletteColour):
    """A colour of a palette, and how far it depends on the random start of k-means.

    Attributes:
        spread_delta_e: largest CIEDE2000 difference between this colour and the nearest one of each palette that the
            other seeds give. 0 where all agree. Below JUST_NOTICEABLE_DIFFERENCE the eye hardly sees a difference.
    """

    spread_delta_e: float


def dominant_colours_with_spread(census: ColourCensus) -> tuple[DominantColour, ...]:
    """The palette of a whole picture, the best of K_MEANS_REPEATS, each with its own seed and K_MEANS_STARTS starts.

    The best has the least within-cluster variance. Several minima of k-means may be nearly equal, so the smaller
    colours of a palette may depend on the seeds; `spread_delta_e` says how far. On 48 printed plates with 384 colours,
    other seeds moved 26 colours by more than JUST_NOTICEABLE_DIFFERENCE and at most by 7.4; 24 of them have a spread
    above it. With one seed, as in `dominant_colours`, they moved 65 colours, at most by 18.2.

    Returns:
        Colours as `dominant_colours` orders them, at most MOST_COLOURS. The same census gives the same palette.

    Raises:
        ValueError: the census is empty.
    """
    _require_pixels(census)
    sums, weights = sum_by_label(census.lab_sums, census.counts, CLUSTERING_GRID.box_of(census.lab))
    is_rare = weights < census.pixel_count * RARE_SHARE
    rare = sum_by_label(sums[is_rare], weights[is_rare], RARE_GRID.box_of(sums[is_rare] / weights[is_rare, None]))
    sums, weights = np.concatenate([sums[~is_rare], rare[0]]), np.concatenate([weights[~is_rare], rare[1]])
    palettes = []
    seeds = range(K_MEANS_SEED, K_MEANS_SEED + K_MEANS_REPEATS)
    for seed, (labels, variance) in zip(
        seeds, _k_means(sums / weights[:, None], weights, MOST_COLOURS, seeds), strict=True
    ):
        palettes.append((variance, seed, _palette(*_merge_alike(*sum_by_label(sums, weights, labels)))))
    best, *others = (palette for *_, palette in sorted(palettes, key=lambda entry: entry[:2]))
    return tuple(
        DominantColour(colour.lab, colour.srgb_hex, colour.share, max(_distance(colour, other) for other in others))
        for colour in best
    )


def dominant_colours(census: ColourCensus, most: int = MOST_COLOURS) -> tuple[PaletteColour, ...]:
    """Clusters the pixels of a census by k-means in CIE L*a*b*, then merges clusters that the eye hardly tells apart.

    The same census gives the same palette: the seed is fixed and k-means runs on one thread.

    Args:
        census: of at least one pixel.
        most: number of clusters before merging. A palette has fewer if there are fewer colours or clusters merge.

    Returns:
        Colours by share, the largest first; of equal shares, the darker first. Shares sum to 1. No two colours are
        closer than JUST_NOTICEABLE_DIFFERENCE.

    Raises:
        ValueError: the census is empty.
    """
    _require_pixels(census)
    sums, weights = sum_by_label(census.lab_sums, census.counts, CLUSTERING_GRID.box_of(census.lab))
    ((labels, _),) = _k_means(sums / weights[:, None], weights, most, [K_MEANS_SEED])
    return _palette(*_merge_alike(*sum_by_label(sums, weights, labels)))


def _require_pixels(census: ColourCensus) -> None:
    if census.pixel_count == 0:
        raise ValueError("a palette needs at least one pixel, found an empty census")


def _k_means(
    points: NDArray[np.float64], weights: NDArray[np.int64], clusters: int, seeds: Sequence[int]
) -> list[tuple[NDArray[np.int32], float]]:
    """By seed, the k-means label of each point [K, 3], weighted by its pixels [K], and the variance within clusters.

    The variance is the sum of squared distances in Lab, weighted by pixels.
    """
    # scikit-learn takes 0.7 s to import, so only a process that makes a palette imports it.
    from sklearn.cluster import KMeans
    from threadpoolctl import get_cached_controller

    found = []
    with get_cached_controller().limit(limits=1):
        for seed in seeds:
            k_means = KMeans(
                min(clusters, len(points)),
                init="k-means++",
                n_init=K_MEANS_STARTS,  # pyright: ignore[reportArgumentType] (inferred as str from the default "auto")
                random_state=seed,
            )
            found.append((k_means.fit_predict(points, sample_weight=weights), float(k_means.inertia_ or 0)))
    return found


def _merge_alike(
    sums: NDArray[np.float64], weights: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Merges the two closest clusters until none are closer than JUST_NOTICEABLE_DIFFERENCE (CIEDE2000)."""
    while len(weights) > 1:
        centres = sums / weights[:, None]
        differences = deltaE_ciede2000(centres[:, None], centres[None, :])
        np.fill_diagonal(differences, np.inf)
        one, other = np.unravel_index(np.argmin(differences), differences.shape)
        if differences[one, other] >= JUST_NOTICEABLE_DIFFERENCE:
            break
        labels = np.arange(len(weights))
        labels[other] = one
        sums, weights = sum_by_label(sums, weights, labels)
    return sums, weights


def _palette(sums: NDArray[np.float64], weights: NDArray[np.int64]) -> tuple[PaletteColour, ...]:
    """Clusters as colours, the largest share first; of equal shares, the darker first."""
    centres, pixels = sums / weights[:, None], int(weights.sum())
    largest_first = np.lexsort((*centres.T[::-1], -weights))
    return tuple(_palette_colour(centres[i], int(weights[i]) / pixels) for i in largest_first)


def _distance(colour: PaletteColour, palette: tuple[PaletteColour, ...]) -> float:
    """CIEDE2000 difference between a colour and the nearest one of a palette."""
    return float(deltaE_ciede2000(np.array([colour.lab]), np.array([other.lab for other in palette])).min())


def _palette_colour(lab: NDArray[np.float64], share: float) -> PaletteColour:
    lightness, a, b = lab.tolist()
    return PaletteColour((lightness, a, b), srgb_hex_of(lab), share)
