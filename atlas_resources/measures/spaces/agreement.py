"""How alike two spaces of the same plates are, as one number each: closed forms, without chance or doubt."""

import numpy as np
from scipy.stats import rankdata

PROCRUSTES_DIMS = 50


def gram(unit: np.ndarray) -> np.ndarray:
    """The cosine of every two rows, float64 [N, N]."""
    return unit @ unit.T


def unbiased_hsic(first: np.ndarray, second: np.ndarray) -> float:
    """The unbiased estimate of the Hilbert-Schmidt independence criterion.

    Equation 5 of Song et al., "Feature Selection via Dependence Maximization" (JMLR 13, 2012). It may be negative.

    Args:
        first, second: kernel matrices float64 [N, N], N of 4 or more; their diagonals are not used.
    """
    count = len(first)
    if count < 4:
        raise ValueError(f"expected four rows or more, found {count}")
    first, second = first - np.diag(np.diag(first)), second - np.diag(np.diag(second))
    sums = first.sum(axis=0), second.sum(axis=0)
    products = np.vdot(first, second)
    whole = sums[0].sum() * sums[1].sum() / ((count - 1) * (count - 2))
    crossed = 2 * (sums[0] @ sums[1]) / (count - 2)
    return float((products + whole - crossed) / (count * (count - 3)))


def debiased_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Centred kernel alignment by the unbiased estimate: about 0 for independent spaces, 1 for equal ones.

    The plain estimate is inflated where vectors are long and plates few. Args as of `unbiased_hsic`. Returns NaN where
    a space has no variation to compare.
    """
    own = unbiased_hsic(first, first) * unbiased_hsic(second, second)
    return unbiased_hsic(first, second) / np.sqrt(own) if own > 0 else float("nan")


def distance_ranks(kernel: np.ndarray) -> np.ndarray:
    """Ranks of the distances of every two rows, centred, of Euclidean length 1, float64 [N * (N - 1) / 2].

    Args:
        kernel: cosines float64 [N, N].
    """
    ranks = rankdata(-kernel[np.triu_indices(len(kernel), 1)])
    ranks -= ranks.mean()
    length = np.linalg.norm(ranks)
    return ranks / length if length else ranks


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of the distances of two spaces, -1..1, from `distance_ranks` of each."""
    return float(first @ second)


def principal_axes(unit: np.ndarray, dims: int = PROCRUSTES_DIMS) -> np.ndarray:
    """The leading principal components, float64 [N, at most dims], of total squared length 1."""
    centred = unit - unit.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    kept = left[:, :dims] * lengths[:dims]
    total = np.linalg.norm(kept)
    return kept / total if total else kept


def procrustes_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """How well a rotation and a scale lay one space on the other, 0..1: the sum of singular values of their product.

    1 - its square is the disparity of `scipy.spatial.procrustes`.

    Args:
        first, second: `principal_axes` of each space.
    """
    return float(np.linalg.svd(first.T @ second, compute_uv=False).sum())
