"""Calibrated similarities and intervals, by hand and by what they promise over many drawn spaces."""

import numpy as np
import pytest

from atlas_resources.measures.spaces.agreement import debiased_cka, gram
from atlas_resources.measures.spaces.chance import (
    bootstrap_of_groups,
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


class TestGroups:
    """The bootstrap that draws groups, beside the one that takes plates as independent."""

    def test_groups_of_one_plate_are_the_bootstrap_over_plates(self):
        values = np.random.default_rng(1).normal(size=50)
        assert bootstrap_of_groups(values, np.arange(50)) == pytest.approx(bootstrap_of_mean(values))

    def test_equal_values_in_groups_of_nine_make_the_interval_three_times_as_wide(self):
        """With n = 9 alike in a group, intraclass correlation 1, variances are as 1 + (9 - 1) * 1 to 1 (Kish 1965)."""
        values = np.repeat(np.random.default_rng(2).normal(size=200), 9)
        by_plate = np.ptp(bootstrap_of_mean(values))
        by_group = np.ptp(bootstrap_of_groups(values, np.repeat(np.arange(200), 9)))
        assert by_group / by_plate == pytest.approx(3, rel=0.1)

    def test_each_group_counts_by_its_plates(self):
        """Two groups, of 1 and of 3 plates: the draws are each twice, or both, with means 0, 1 and 3 / 4."""
        low, high = bootstrap_of_groups(np.array([0.0, 1, 1, 1]), np.array([7, 4, 4, 4]))
        assert (low, high) == (0, 1)
        assert bootstrap_of_groups(np.array([2.0, 2, 2]), np.array([1, 1, 5])) == (2, 2)

    def test_only_drawn_groups_cover_the_true_mean_as_often_as_they_say(self):
        """Groups of 6 with an intraclass correlation of 1/2: the plates' interval is of 1.96 / sqrt(3.5) deviations.

        It covers the true mean in 70.5 % of the cases, by the normal distribution, instead of 95 %.
        """
        drawing, groups = np.random.default_rng(3), np.repeat(np.arange(40), 6)
        covered = np.zeros(2)
        for _ in range(200):
            values = (np.repeat(drawing.normal(size=40), 6) + drawing.normal(size=240)) / np.sqrt(2)
            intervals = bootstrap_of_mean(values, 200), bootstrap_of_groups(values, groups, 200)
            covered += [low <= 0 <= high for low, high in intervals]
        assert covered[0] / 200 == pytest.approx(0.705, abs=0.08)
        assert covered[1] / 200 == pytest.approx(0.95, abs=0.04)
