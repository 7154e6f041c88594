"""Calibrated similarities and intervals, by hand and by what they promise over many drawn spaces."""

import numpy as np
import pytest

from atlas_resources.measures.spaces.agreement import debiased_cka, gram
from atlas_resources.measures.spaces.chance import (
    bootstrap_of_mean,
    calibrate,
    half_sample_interval,
    permutations,
)
from atlas_resources.measures.spaces.neighbour_graphs import unit_rows

NULL = np.linspace(0.01, 0.19, 19)


def test_a_similarity_above_chance_is_rescaled_from_the_critical_value():
    """Of 20 values the critical one is the 19th: 0.19 where the measured 0.6 is the largest. (0.6 - 0.19) / 0.81."""
    found = calibrate(0.6, NULL)
    assert found.critical == pytest.approx(0.19)
    assert found.p_value == pytest.approx(1 / 20)
    assert found.calibrated == pytest.approx(0.41 / 0.81)
    assert found.null_mean == pytest.approx(0.10)


def test_a_similarity_that_chance_reaches_is_zero():
    found = calibrate(0.05, NULL)
    assert (found.calibrated, found.p_value) == (0.0, pytest.approx(16 / 20))


def test_equal_spaces_are_one():
    assert calibrate(1.0, NULL).calibrated == 1.0


def test_the_same_seed_gives_the_same_permutations():
    first, second = ([order.tolist() for order in permutations(9, 3)] for _ in range(2))
    assert first == second
    assert sorted(first[0]) == list(range(9))
    assert first[0] != first[1]


def test_the_bootstrap_interval_is_that_of_the_normal_form():
    """The mean of n values has the deviation s / sqrt(n)."""
    values = np.random.default_rng(0).normal(2, 1, size=400)
    low, high = bootstrap_of_mean(values)
    assert low == pytest.approx(values.mean() - 1.96 * values.std() / 20, abs=0.02)
    assert high == pytest.approx(values.mean() + 1.96 * values.std() / 20, abs=0.02)


def test_the_half_sample_interval_of_a_mean_is_that_of_the_normal_form():
    values = np.random.default_rng(1).normal(size=400)
    low, high = half_sample_interval(values.mean(), lambda some: float(values[some].mean()), 400, halves=400)
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.15)


def test_the_interval_of_the_alignment_covers_its_true_value_nineteen_times_in_twenty():
    """Two noisy copies of one space, drawn 60 times; the true value is taken from 3,000 plates."""

    def pair(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        drawing = np.random.default_rng(seed)
        common = drawing.normal(size=(count, 6))
        return tuple(gram(unit_rows(common + drawing.normal(size=(count, 6)))) for _ in range(2))  # type: ignore[return-value] # a tuple of two

    true = debiased_cka(*pair(3000, 0))
    covered = 0
    for seed in range(1, 61):
        first, second = pair(100, seed)
        low, high = half_sample_interval(
            debiased_cka(first, second),
            lambda some, a=first, b=second: debiased_cka(a[np.ix_(some, some)], b[np.ix_(some, some)]),
            100,
        )
        covered += low <= true <= high
    assert covered >= 51  # of 60 at 95 %, fewer than 52 have a probability of 0.2 %
