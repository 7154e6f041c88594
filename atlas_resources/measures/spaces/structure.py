"""The shape of one space: clusters and how stable they are, outliers by density, and its intrinsic dimension."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import LocalOutlierFactor

from atlas_resources.measures.spaces.agreement import principal_axes
from atlas_resources.measures.spaces.chance import SEED

LEFT_OUT = -1
"""Label of a plate that is in no cluster."""
CLUSTER_DIMS = 50
LEAST_IN_CLUSTER = 5
RESAMPLES, RESAMPLES_OF_MANY, MANY = 20, 5, 2000
"""How often the clusters of a part of the plates are found: HDBSCAN takes time by the square of the plates."""
RESAMPLED_SHARE = 0.8
DISCARDED_SHARE = 0.1


@dataclass(frozen=True)
class Clusters:
    """Clusters of a space.

    Attributes:
        labels: int64 [N], from 0, ordered by size; LEFT_OUT in no cluster.
        probabilities: float64 [N], how firmly each plate belongs to its cluster; 0 in none.
        exemplars: int64 [clusters], the plate of each cluster that is nearest to all others of it by mean cosine.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    exemplars: np.ndarray


def _hdbscan(axes: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities by HDBSCAN (Campello et al. 2013), excess of mass; none where plates are too few."""
    if len(axes) < 2 * least:
        return np.full(len(axes), LEFT_OUT), np.zeros(len(axes))
    settings: dict[str, Any] = {"min_cluster_size": least, "min_samples": least, "copy": True}
    found = HDBSCAN(**settings).fit(axes)
    return found.labels_, found.probabilities_


def _by_size(labels: np.ndarray) -> np.ndarray:
    """The labels numbered anew, the largest cluster first; of equal ones, that with the earliest plate."""
    names, first, sizes = np.unique(labels[labels != LEFT_OUT], return_index=True, return_counts=True)
    order = names[np.lexsort((first, -sizes))]
    renamed = np.full(len(labels), LEFT_OUT)
    for number, name in enumerate(order):
        renamed[labels == name] = number
    return renamed


def find_clusters(unit: np.ndarray, least: int = LEAST_IN_CLUSTER) -> Clusters:
    """Clusters of at least so many plates, by HDBSCAN over the leading principal components.

    Args:
        unit: float64 [N, dim], rows of length 1.
        least: fewest plates of a cluster, and how many neighbours make a plate dense.
    """
    labels, probabilities = _hdbscan(principal_axes(unit, CLUSTER_DIMS), least)
    labels = _by_size(labels)
    exemplars = [_exemplar(unit, np.flatnonzero(labels == number)) for number in range(labels.max(initial=-1) + 1)]
    return Clusters(labels, probabilities, np.array(exemplars, dtype=np.int64))


def clusters_of_resamples(
    unit: np.ndarray, labels: np.ndarray, least: int = LEAST_IN_CLUSTER, seed: int = SEED
) -> Iterator[float]:
    """How alike clusters are to those of RESAMPLED_SHARE of the plates: an adjusted Rand index for each resample.

    Args:
        unit: float64 [N, dim], rows of length 1.
        labels: of `find_clusters` for the same rows and `least`. Without a cluster, nothing is compared.
        least: as of `find_clusters`.
        seed: of the drawing of resamples.
    """
    if (labels == LEFT_OUT).all():
        return
    axes, drawing = principal_axes(unit, CLUSTER_DIMS), np.random.default_rng(seed)
    for _ in range(RESAMPLES if len(unit) <= MANY else RESAMPLES_OF_MANY):
        some = np.sort(drawing.permutation(len(unit))[: int(RESAMPLED_SHARE * len(unit))])
        yield float(adjusted_rand_score(labels[some], _hdbscan(axes[some], least)[0]))


def _exemplar(unit: np.ndarray, members: np.ndarray) -> int:
    """The member whose mean cosine to the members is largest; of equal ones, the earliest."""
    return int(members[np.argmax(unit[members] @ unit[members].mean(axis=0))])


def local_outlier_factors(graph: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """The local outlier factor of each plate, float64 [N]: about 1 in a cluster, larger for a plate by itself.

    Breunig et al., "LOF: Identifying Density-Based Local Outliers" (2000), by scikit-learn over the stored graph; the
    distance is that of the vectors' end points. NaN where a plate has no neighbours.

    Args:
        graph: int64 [N, k], nearest neighbours.
        cosines: float64 [N, k].
    """
    count, k = graph.shape
    if k == 0:
        return np.full(count, np.nan)
    # scikit-learn takes a row as a neighbour of itself, which it then leaves out.
    near = np.concatenate([np.arange(count)[:, None], graph], axis=1)
    far = np.concatenate([np.zeros((count, 1)), chords(cosines)], axis=1)
    distances = csr_array((far.ravel(), near.ravel(), np.arange(count + 1) * (k + 1)), shape=(count, count))
    found = LocalOutlierFactor(n_neighbors=k, metric="precomputed").fit(distances)
    return -found.negative_outlier_factor_


def chords(cosines: np.ndarray) -> np.ndarray:
    """Distances of the end points of vectors of length 1, 0..2, from their cosines."""
    return np.sqrt(np.maximum(0.0, 2 - 2 * cosines))


def intrinsic_dimension(cosines: np.ndarray) -> float:
    """How many directions the plates spread in around a plate: the two-nearest-neighbours estimate.

    Facco et al., "Estimating the intrinsic dimension of datasets by a minimal neighborhood information" (2017): the
    slope, through the origin, of -log(1 - F) over log(r2 / r1), without the largest tenth of the ratios. NaN with fewer
    than ten plates that have two different neighbours. Copies of a plate, at distance 0, are left out.

    Args:
        cosines: float64 [N, k], k of 2 or more, the nearest first.
    """
    if cosines.shape[1] < 2:
        return float("nan")
    far = chords(cosines[:, :2])
    ratios = np.sort(far[far[:, 0] > 0][:, 1] / far[far[:, 0] > 0][:, 0])
    count = len(ratios)
    kept = int(count * (1 - DISCARDED_SHARE))
    if kept < 10:
        return float("nan")
    x = np.log(ratios[:kept])
    y = -np.log(1 - np.arange(1, kept + 1) / (count + 1))
    return float(x @ y / (x @ x)) if x.any() else float("nan")
