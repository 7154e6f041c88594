"""Several graphs of neighbours as one: reciprocal rank fusion, and what each graph adds to the others."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from atlas_resources.measures.spaces.neighbour_graphs import RANK_OFFSET, shared


def votes(graph: np.ndarray) -> csr_array:
    """What a graph gives each plate's neighbours, [N, N]: 1 / (RANK_OFFSET + rank), ranks from 1; 0 for the others."""
    count, k = graph.shape
    given = np.tile(1.0 / (RANK_OFFSET + np.arange(1, k + 1)), count)
    return csr_array((given, graph.ravel(), np.arange(count + 1) * k), shape=(count, count))


def fuse(graphs: Sequence[np.ndarray], k: int) -> np.ndarray:
    """The k neighbours of each plate with the most votes, int64 [N, k]; of equal ones, the earlier plate first.

    Args:
        graphs: int64 [N, at least k] each.
        k: how many.
    """
    total = csr_array(sum((votes(graph) for graph in graphs), start=csr_array((len(graphs[0]), len(graphs[0])))))
    total.sort_indices()
    best = np.empty((len(graphs[0]), k), dtype=np.int64)
    for row in range(len(best)):
        columns = total.indices[total.indptr[row] : total.indptr[row + 1]]
        given = total.data[total.indptr[row] : total.indptr[row + 1]]
        best[row] = columns[np.lexsort((columns, -np.round(given, 12)))[:k]]
    return best


def fuse_rankings(rankings: Sequence[np.ndarray], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k plates with the most votes of several rankings of one query, which need not be a plate; ordered as `fuse`.

    Args:
        rankings: of each space, distinct indices of plates, int64 [at most N], the nearest first.
        k: how many; at most as many as are ranked are returned.

    Returns:
        Indices int64 [at most k], and the sum of votes of each, float64.
    """
    ranked = np.concatenate([np.empty(0, dtype=np.int64), *rankings])
    given = np.concatenate([np.empty(0), *(1.0 / (RANK_OFFSET + np.arange(1, len(one) + 1)) for one in rankings)])
    plates, place = np.unique(ranked, return_inverse=True)
    scores = np.bincount(place, weights=given, minlength=len(plates))
    best = np.lexsort((plates, -np.round(scores, 12)))[:k]
    return plates[best], scores[best]


def standardised(similarities: np.ndarray) -> np.ndarray:
    """How far each similarity is from their mean, in standard deviations, float64 [N]; 0 where all are equal.

    "ZMUV" of Montague and Aslam, "Relevance score normalization for metasearch" (CIKM 2001).
    """
    deviation = similarities.std()
    centred = similarities - similarities.mean()
    return centred / deviation if deviation > np.finfo(float).eps else np.zeros_like(centred)


def mixed(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """Two similarities of the same plates as one, float64 [N]: a convex combination of what is `standardised`.

    Cosines of a text and an image vector are smaller, and closer together, than those of two images (Liang et al.,
    "Mind the Gap", NeurIPS 2022): a sum of them, or of the vectors, would be decided by the picture. Convex
    combinations of standardised scores: Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval"
    (ACM TOIS 42, 2023), who find them better than ranks, and little dependent on how scores are standardised.

    Args:
        first, second: float64 [N].
        weight: of the second, 0..1.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"expected a weight of 0 to 1, found {weight}")
    return (1 - weight) * standardised(first) + weight * standardised(second)


def change(before: Sequence[np.ndarray], after: Sequence[np.ndarray], k: int) -> np.ndarray:
    """The share of each plate's k fused neighbours that differ between two sets of graphs, float64 [N], 0..1."""
    return 1 - shared(fuse(before, k), fuse(after, k))
