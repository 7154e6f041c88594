"""Ranks of things that several judges scored, and how stable they are when other judges are drawn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata

DRAWS_AT_ONCE = 1000  # bounds the memory of drawing


@dataclass(frozen=True)
class RankedScores:
    """Scores with their ranks; an entry for each of N things.

    Attributes:
        score: mean over the judges, float64 [N].
        rank: of the score, 1 for the highest, int [N]. Equal scores share the better rank.
        rank_low, rank_high: ranks between which the declared share of the draws is, int [N]; low is the better one.
        top_ratio: share of the draws in which the rank is among the top, 0..1, float64 [N].
        agreement: Kendall's tau-b of the ranks and those by each judge alone, -1..1, the mean over the judges; nan for
            fewer than two things, or if a judge scores all things equal.
    """

    score: np.ndarray
    rank: np.ndarray
    rank_low: np.ndarray
    rank_high: np.ndarray
    top_ratio: np.ndarray
    agreement: float


def ranks_of(scores: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, 1 for the highest, int. Equal scores share the better rank."""
    return rankdata(-np.asarray(scores), method="min", axis=-1).astype(np.int64)


def rank_scores(scores: np.ndarray, *, draws: int, seed: int, coverage: float, top_count: int) -> RankedScores:
    """Ranks things by their mean score, and draws the judges again, with replacement, to say how stable ranks are.

    The bootstrap percentile interval of a rank (Efron and Tibshirani 1993, chapter 13): the smallest and the largest
    rank that are not in the `(1 - coverage) / 2` share of the draws on either side.

    Args:
        scores: float [J, N], those of N things by J judges; at least one of each.
        draws: number of draws, each of J judges.
        seed: of numpy's PCG64 generator.
        coverage: share of the draws in the interval, between 0 and 1.
        top_count: ranks up to which a thing is among the top.

    Raises:
        ValueError: there is no judge or nothing to rank, or a score is not finite.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or 0 in scores.shape or not np.isfinite(scores).all():
        raise ValueError(f"expected finite scores [judges, things], found {scores.dtype} {list(scores.shape)}")
    mean = scores.mean(axis=0)
    drawn = _drawn_ranks(scores, draws, seed)
    below = (1 - coverage) / 2
    low = np.quantile(drawn, below, axis=0, method="inverted_cdf")
    high = np.quantile(drawn, 1 - below, axis=0, method="inverted_cdf")
    ranks = ranks_of(mean)
    return RankedScores(
        mean, ranks, low.astype(int), high.astype(int), (drawn <= top_count).mean(axis=0), _agreement(ranks, scores)
    )


def _drawn_ranks(scores: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Ranks by the mean score of each draw of judges, int [draws, N]."""
    random, judges = np.random.default_rng(seed), len(scores)
    parts = []
    for start in range(0, draws, DRAWS_AT_ONCE):
        chosen = random.integers(0, judges, (min(DRAWS_AT_ONCE, draws - start), judges))
        weights = (chosen[:, :, None] == np.arange(judges)).sum(axis=1)  # how often each judge was drawn
        parts.append(ranks_of(weights @ scores / judges))
    return np.concatenate(parts)


def _agreement(ranks: np.ndarray, scores: np.ndarray) -> float:
    if len(ranks) < 2:
        return float("nan")
    found: list[Any] = [kendalltau(ranks, ranks_of(judge)) for judge in scores]
    return float(np.mean([one.statistic for one in found]))
