"""The dominant colours of pixels: k-means in CIE L*a*b*, from their census."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000

from atlas_resources.measures.colour.census import ColourCensus
from atlas_resources.measures.colour.lab import LabGrid, srgb_hex_of

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
    if census.pixel_count == 0:
        raise ValueError("a palette needs at least one pixel, found an empty census")
    sums, weights = _group(census.lab * census.counts[:, None], census.counts, CLUSTERING_GRID.box_of(census.lab))
    labels = _k_means_labels(sums / weights[:, None], weights, most)
    sums, weights = _merge_alike(*_group(sums, weights, labels))
    centres = sums / weights[:, None]
    largest_first = np.lexsort((*centres.T[::-1], -weights))
    return tuple(_palette_colour(centres[i], int(weights[i]) / census.pixel_count) for i in largest_first)


def _group(
    sums: NDArray[np.float64], weights: NDArray[np.int64], labels: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sums of Lab [K, 3] and counts of pixels [K] added up by label [K]. Labels without pixels are left out."""
    grouped_weights = np.bincount(labels, weights=weights).astype(np.int64)
    sums_by_axis = [np.bincount(labels, weights=sums[:, axis]) for axis in range(3)]
    grouped_sums = np.stack(sums_by_axis, axis=1, dtype=np.float64)
    return grouped_sums[grouped_weights > 0], grouped_weights[grouped_weights > 0]


def _k_means_labels(points: NDArray[np.float64], weights: NDArray[np.int64], clusters: int) -> NDArray[np.int32]:
    """The k-means label of each point [K, 3], weighted by its number of pixels [K]."""
    # scikit-learn takes 0.7 s to import, so only a process that makes a palette imports it.
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    k_means = KMeans(
        min(clusters, len(points)),
        init="k-means++",
        n_init=K_MEANS_STARTS,  # pyright: ignore[reportArgumentType] (inferred as str from the default "auto")
        random_state=K_MEANS_SEED,
    )
    with threadpool_limits(limits=1):
        return k_means.fit_predict(points, sample_weight=weights)


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
        sums, weights = _group(sums, weights, labels)
    return sums, weights


def _palette_colour(lab: NDArray[np.float64], share: float) -> PaletteColour:
    lightness, a, b = lab.tolist()
    return PaletteColour((lightness, a, b), srgb_hex_of(lab), share)
