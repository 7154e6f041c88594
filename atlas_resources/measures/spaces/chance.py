"""What chance gives, and how far an estimate may be trusted: permutations, the bootstrap, half samples."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

PERMUTATIONS = 200
DRAWS = 1000
HALVES = 50
ALPHA = 0.05
SEED = 20240527


@dataclass(frozen=True)
class Calibrated:
    """A similarity beside what chance gives.

    Attributes:
        value: as measured.
        null_mean: mean over permutations of the plates of one space.
        critical: the value that chance exceeds with a probability of at most ALPHA.
        p_value: share of permutations, the measured one included, with a similarity as high.
        calibrated: 0 where chance gives as much, 1 for equal spaces.
    """

    value: float
    null_mean: float
    critical: float
    p_value: float
    calibrated: float


def permutations(count: int, number: int = PERMUTATIONS, seed: int = SEED) -> Iterator[np.ndarray]:
    """So many permutations of 0..count-1, int64 [count], the same ones for the same seed."""
    drawing = np.random.default_rng(seed)
    return (drawing.permutation(count) for _ in range(number))


def calibrate(value: float, null: np.ndarray) -> Calibrated:
    """Sets a similarity in relation to those of permuted plates.

    Algorithm 1 of Gröger, Wen and Brbić, "Revisiting the Platonic Representation Hypothesis" (arXiv:2602.14486), for a
    similarity of at most 1: the critical value is an order statistic of the measured and the permuted values together.

    Args:
        value: the similarity as measured.
        null: float [permutations], the similarities under permutation.
    """
    together = np.sort(np.append(null, value))
    critical = float(together[max(0, math.ceil((1 - ALPHA) * len(together)) - 1)])
    p_value = (1 + int((null >= value).sum())) / len(together)
    room = 1 - critical
    calibrated = max(0.0, value - critical) / room if room > 0 else 0.0
    return Calibrated(value, float(null.mean()), critical, p_value, calibrated)


def bootstrap_of_mean(values: np.ndarray, draws: int = DRAWS, seed: int = SEED) -> tuple[float, float]:
    """The 95 % interval of a mean over plates: percentiles of the means of plates drawn with replacement."""
    drawing = np.random.default_rng(seed)
    means = [values[drawing.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def bootstrap_of_groups(
    values: np.ndarray, groups: np.ndarray, draws: int = DRAWS, seed: int = SEED
) -> tuple[float, float]:
    """The 95 % interval of a mean over plates that come in groups: groups are drawn with replacement, each whole.

    Plates of one group, such as those of a label, resemble each other, and draws of single plates would count each as
    new evidence: with n plates in a group and an intraclass correlation r, their interval is too short by the root of
    1 + (n - 1) r (Kish, "Survey Sampling", 1965, section 5.4). Drawn groups keep what is in them: Davison and Hinkley,
    "Bootstrap Methods and their Application" (1997), section 3.8. With few groups the interval is too short itself.

    Args:
        values: float64 [N].
        groups: of each value, int [N].
        draws: how often as many groups are drawn as there are.
        seed: of the drawing.
    """
    _, place = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(place, weights=values), np.bincount(place)
    drawing = np.random.default_rng(seed)
    drawn = (drawing.integers(0, len(sums), len(sums)) for _ in range(draws))
    low, high = np.quantile([sums[one].sum() / counts[one].sum() for one in drawn], (0.025, 0.975))
    return float(low), float(high)


def half_sample_interval(
    value: float, measure: Callable[[np.ndarray], float], count: int, halves: int = HALVES, seed: int = SEED
) -> tuple[float, float]:
    """The 95 % interval of a statistic of pairs of plates: of normal form, its deviation from halves of the plates.

    Plates are not drawn twice, as the bootstrap does: a plate is at distance 0 from itself in every space, which would
    make spaces seem alike. For halves, the deviation between them is that of the whole: Shao and Wu, "A General Theory
    for Jackknife Variance Estimation" (1989), with d = N / 2.

    Args:
        value: the statistic of all plates.
        measure: the statistic of plates by their indices, int64 [n].
        count: how many plates there are.
        halves: how many halves are drawn.
        seed: of the drawing.
    """
    drawing = np.random.default_rng(seed)
    found = np.array([measure(np.sort(drawing.permutation(count)[: count // 2])) for _ in range(halves)])
    deviation = float(np.sqrt(np.mean((found - value) ** 2)))
    return value - 1.96 * deviation, value + 1.96 * deviation
