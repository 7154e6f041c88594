"""Retrieval: whether the plates that should be found are found first, with intervals, and two spaces compared.

A query's rank counts plates of an equal cosine that should not be found before those that should: a tie finds nothing.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, hypergeom

BLOCK_ROWS = 512
DECIMALS = 12
"""Cosines are compared to so many decimals: those of equal vectors differ in the last bits of a product."""


@dataclass(frozen=True)
class Rankings:
    """What queries found.

    Attributes:
        queries: indices of the rows that were asked, int64 [Q].
        first_hit: rank of the first plate that should be found, from 1, int64 [Q].
        average_precision: mean of the precision at the rank of each plate that should be found, float64 [Q], 0..1.
    """

    queries: np.ndarray
    first_hit: np.ndarray
    average_precision: np.ndarray

    def is_found(self, k: int) -> np.ndarray:
        """Whether a plate that should be found is among the first k, bool [Q]; its mean is recall@k."""
        return self.first_hit <= k


@dataclass(frozen=True)
class Proportion:
    """So many of all, with the 95 % interval of Wilson's score, 0..1."""

    count: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share, 0..1."""
        return self.count / self.of


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two methods on the same queries.

    Attributes:
        only_first, only_second: queries that one of them alone found.
        p_value: of the two-sided binomial test that both are as many; 1 without such queries.
    """

    only_first: int
    only_second: int
    p_value: float


def queries_of(labels: np.ndarray) -> np.ndarray:
    """The rows with another row of the same label, int64 [Q]: the others have nothing to find.

    Args:
        labels: int64 [N], of each row.
    """
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.flatnonzero(counts[place] > 1)


def rank_same_label(unit: np.ndarray, labels: np.ndarray) -> Rankings:
    """Asks with each row for the others of its label, among all other rows.

    Recall@k is the share of queries with one of them among the first k, as in the instance retrieval of the Met data
    set (Ypsilantis et al. 2021). Average precision: Manning, Raghavan and Schütze (2008), section 8.4.

    Args:
        unit: float64 [N, dim], rows of length 1.
        labels: int64 [N].
    """
    queries = queries_of(labels)
    first_hit, precision = np.empty(len(queries), dtype=np.int64), np.empty(len(queries))
    for start in range(0, len(queries), BLOCK_ROWS):
        some = queries[start : start + BLOCK_ROWS]
        for number, (row, cosines) in enumerate(zip(some, unit[some] @ unit.T, strict=True), start):
            ranks = _ranks_of(np.delete(labels == labels[row], row), np.delete(cosines, row))
            first_hit[number] = ranks[0]
            precision[number] = np.mean(np.arange(1, len(ranks) + 1) / ranks)
    return Rankings(queries, first_hit, precision)


def _ranks_of(is_wanted: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """The ranks of the wanted rows, from 1 and ascending; rows as near that are not wanted come before them."""
    return 1 + np.flatnonzero(is_wanted[np.lexsort((is_wanted, -np.round(cosines, DECIMALS)))])


def rank_of_own(queries: np.ndarray, unit: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The rank of the row that each query should find, from 1, int64 [Q]; rows as near count before it.

    Args:
        queries: float64 [Q, dim], rows of length 1.
        unit: float64 [N, dim], rows of length 1.
        own: the row of each query, int64 [Q].
    """
    cosines = np.round(queries @ unit.T, DECIMALS)
    return (cosines >= cosines[np.arange(len(own)), own][:, None]).sum(axis=1)


def recall_by_chance(labels: np.ndarray, k: int) -> float:
    """The recall@k of `rank_same_label` for rows in random order, 0..1: hypergeometric. NaN without a query."""
    queries = queries_of(labels)
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    others = len(labels) - 1
    found = 1 - hypergeom.pmf(0, others, counts[place][queries] - 1, min(k, others))
    return float(np.mean(found)) if len(queries) else float("nan")


def proportion(is_found: np.ndarray) -> Proportion:
    """The share of True with Wilson's interval, by SciPy. Raises ValueError for no entries.

    Args:
        is_found: bool [Q], Q of 1 or more.
    """
    count, of = int(is_found.sum()), len(is_found)
    interval = binomtest(count, of).proportion_ci(0.95, method="wilson")
    return Proportion(count, of, float(interval.low), float(interval.high))


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """McNemar's exact test: the binomial test of the queries that one method alone found, by SciPy.

    Args:
        first, second: whether each query was found, bool [Q], of the same queries.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    p_value = float(binomtest(only_first, differing, 0.5).pvalue) if differing else 1.0
    return McNemar(only_first, only_second, p_value)
