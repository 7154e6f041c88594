"""The graph of the nearest neighbours of every plate by cosine, exact, and what is read from two such graphs."""

import numpy as np

BLOCK_ROWS = 512
SPARE, NARROW_ERROR = 4, 1e-5
"""So many more than k are taken by float32 products and then ordered by float64 cosines, which decide. Where even the
last of them is within the error of the products, all rows within it are: 30 blank pages are equally near each other."""
RANK_OFFSET = 60
"""Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning methods"
(2009): ranks are counted from so many, which keeps the first rank of one space from deciding alone."""


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """float64 [N, dim], each row divided by its Euclidean length. Raises ValueError for a row without a direction."""
    rows = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not (lengths > 0).all():
        raise ValueError("expected finite vectors that are not all 0")
    return rows / lengths


def nearest(unit: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other rows of each row, the nearest first; of equally near ones, the earlier row first.

    Args:
        unit: float64 [N, dim], rows of length 1.
        k: how many; at most N - 1 are returned.

    Returns:
        Indices int64 [N, min(k, N - 1)], and their cosines, float64, of the same shape.
    """
    count = len(unit)
    k = max(0, min(k, count - 1))
    indices = np.empty((count, k), dtype=np.int64)
    cosines = np.empty((count, k))
    narrow = unit.astype(np.float32)
    taken = min(k + SPARE, count - 1)
    for start in range(0, count if k else 0, BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, count))
        products = narrow[rows] @ narrow.T
        products[np.arange(len(rows)), rows] = -np.inf
        near = np.sort(np.argpartition(products, -taken, axis=1)[:, -taken:], axis=1)
        taken_products = np.sort(np.take_along_axis(products, near, axis=1), axis=1)
        indices[rows], cosines[rows] = _nearest_of(unit, rows, near, k)
        least = taken_products[:, -k] - NARROW_ERROR
        for row in np.flatnonzero(taken_products[:, 0] >= least) if taken < count - 1 else ():
            crowd = np.flatnonzero(products[row] >= least[row])
            (indices[start + row],), (cosines[start + row],) = _nearest_of(unit, rows[[row]], crowd[None], k)
    return indices, np.clip(cosines, -1.0, 1.0)


def _nearest_of(unit: np.ndarray, rows: np.ndarray, near: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest among candidates, int64 [rows, m], ascending, by float64 cosines; returned as by `nearest`."""
    exact = np.einsum("rd,rkd->rk", unit[rows], unit[near])
    order = np.argsort(-exact, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(exact, order, axis=1)


def shared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The share of each row's neighbours that both graphs have, float64 [N], 0..1.

    The mutual nearest-neighbour overlap of Huh et al., "The Platonic Representation Hypothesis" (arXiv:2405.07987).

    Args:
        first, second: int [N, k], distinct indices in each row.
    """
    if first.shape != second.shape:
        raise ValueError(f"expected two graphs of one shape, found {first.shape} and {second.shape}")
    both = np.zeros(len(first), dtype=np.int64)
    for column in range(second.shape[1]):  # in k steps, since [N, k, k] would not fit the memory for many plates
        both += (first == second[:, column, None]).sum(axis=1)
    return both / max(1, first.shape[1])


def relabelled(graph: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The graph of the space whose rows are taken in another order: `space[order]`.

    Args:
        graph: int [N, k] of the space.
        order: a permutation of 0..N-1.
    """
    return np.argsort(order)[graph[order]]


def is_mutual(graph: np.ndarray) -> np.ndarray:
    """Whether each neighbour has the row among its own neighbours, bool [N, k]."""
    rows = np.arange(len(graph))[:, None, None]
    return (graph[graph] == rows).any(axis=2) if graph.size else np.zeros(graph.shape, dtype=bool)
