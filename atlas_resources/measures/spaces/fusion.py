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


def change(before: Sequence[np.ndarray], after: Sequence[np.ndarray], k: int) -> np.ndarray:
    """The share of each plate's k fused neighbours that differ between two sets of graphs, float64 [N], 0..1."""
    return 1 - shared(fuse(before, k), fuse(after, k))
