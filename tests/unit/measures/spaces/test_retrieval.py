"""Retrieval and its tests on spaces of two numbers, by hand."""

import math

import numpy as np
import pytest

from atlas_resources.measures.spaces.retrieval import (
    mcnemar,
    proportion,
    queries_of,
    rank_of_own,
    rank_same_label,
    recall_by_chance,
)

ON_A_CIRCLE = np.array([(math.cos(a), math.sin(a)) for a in np.deg2rad([0, 10, 30, 60, 100])])
"""From plate 0 the others are in order. From 1: 0, 2, 3, 4. From 2: 1, 0 and 3 (a tie at 30), 4. From 3: 2, 4, 1, 0."""


def test_a_plate_alone_with_its_label_asks_nothing():
    assert queries_of(np.array([7, 7, 1, 2, 7])).tolist() == [0, 1, 4]


def test_the_rank_is_that_of_the_first_plate_of_the_same_label():
    """Labels a b a b c: 0 finds 2 second; 1 finds 3 third; 2 finds 0 second; 3 finds 1 third."""
    found = rank_same_label(ON_A_CIRCLE, np.array([0, 1, 0, 1, 2]))
    assert found.queries.tolist() == [0, 1, 2, 3]
    assert found.first_hit.tolist() == [2, 3, 3, 3]
    assert [found.is_found(k).sum() for k in (1, 2, 3)] == [0, 1, 4]


def test_a_tie_finds_nothing():
    """From plate 2, plates 0 (of its label) and 3 (of another) are both at 30 degrees, after plate 1: rank 3, not 2."""
    assert rank_same_label(ON_A_CIRCLE, np.array([0, 1, 0, 1, 2])).first_hit[2] == 3


def test_average_precision_is_the_mean_of_the_precision_at_each_hit():
    """Labels a b a a c: from 0, hits at 2 and 3, (1/2 + 2/3) / 2. From 2, plates 0 and 3 tie and are both hits, at 2
    and 3. From 3: 2 first, 0 last: (1/1 + 2/4) / 2."""
    found = rank_same_label(ON_A_CIRCLE, np.array([0, 1, 0, 0, 2]))
    assert found.average_precision == pytest.approx([7 / 12, 7 / 12, 3 / 4])


def test_equal_vectors_of_other_labels_come_first_whatever_the_last_bits_say():
    one = np.random.default_rng(1).normal(size=300)
    unit = np.stack([one, one, one]) / np.linalg.norm(one)
    assert rank_same_label(unit, np.array([0, 1, 0])).first_hit.tolist() == [2, 2]


def test_the_own_plate_has_the_first_rank_unless_another_is_as_near():
    asked = np.array([[1.0, 0.0], ON_A_CIRCLE[2]])
    assert rank_of_own(asked, ON_A_CIRCLE, np.array([0, 0])).tolist() == [1, 4]  # from 2: itself, 1, and 3 in a tie


def test_chance_is_that_of_plates_drawn_at_random():
    """Labels a a b b c: a query has 1 of 4 others to find: 1/4 at 1, 1/2 at 2, and all at 4 and more."""
    labels = np.array([0, 0, 1, 1, 2])
    assert [recall_by_chance(labels, k) for k in (1, 2, 4, 9)] == pytest.approx([0.25, 0.5, 1, 1])
    assert math.isnan(recall_by_chance(np.array([0, 1, 2]), 1))


def test_wilsons_interval_is_that_of_the_formula():
    """Wilson (1927): 8 of 10, z = 1.959964: centre (p + z^2/2n) / (1 + z^2/n), and its half width."""
    z, n, p = 1.959964, 10, 0.8
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    found = proportion(np.arange(10) < 8)
    assert (found.count, found.of, found.value) == (8, 10, 0.8)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_mcnemars_exact_p_is_twice_the_binomial_tail():
    """One query only the first finds, five only the second: 2 * (1 + 6) / 2^6."""
    first = np.array([1, 0, 0, 0, 0, 0, 1, 1, 0], dtype=bool)
    second = np.array([0, 1, 1, 1, 1, 1, 1, 1, 0], dtype=bool)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (1, 5)
    assert found.p_value == pytest.approx(14 / 64)


def test_two_that_find_the_same_do_not_differ():
    found = mcnemar(np.array([True, False]), np.array([True, False]))
    assert (found.only_first, found.only_second, found.p_value) == (0, 0, 1.0)
