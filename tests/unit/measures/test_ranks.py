"""Ranks, their intervals over draws of the judges, and how far single judges agree; by hand and by formula."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas_resources.measures.ranks import DRAWS_AT_ONCE, rank_scores, ranks_of

ASKED = {"draws": 400, "seed": 0, "coverage": 0.9, "top_count": 1}


def test_the_highest_score_has_rank_one_and_equals_share_the_better_rank():
    assert ranks_of(np.array([0.3, 0.9, 0.3, 0.1])).tolist() == [2, 1, 2, 4]


def test_judges_of_one_mind_leave_no_doubt():
    scores = np.tile([0.5, 0.1, 0.9], (4, 1))
    found = rank_scores(scores, **ASKED)
    np.testing.assert_allclose(found.score, [0.5, 0.1, 0.9])
    assert found.rank.tolist() == found.rank_low.tolist() == found.rank_high.tolist() == [2, 3, 1]
    assert found.top_ratio.tolist() == [0, 0, 1]
    assert found.agreement == pytest.approx(1)


def test_one_judge_of_two_against_the_other_makes_both_ranks_possible():
    """Drawn by hand: of two judges, both are the first in 1/4 of the draws, both the second in 1/4, else one of each.

    The first judge prefers `a` by 3, the second `b` by 1, so that `b` is better only where the second is drawn twice.
    """
    found = rank_scores(np.array([[3.0, 0.0], [0.0, 1.0]]), **{**ASKED, "draws": 20_000})
    assert found.rank.tolist() == [1, 2]
    assert (found.rank_low.tolist(), found.rank_high.tolist()) == ([1, 1], [2, 2])
    assert found.top_ratio == pytest.approx([0.75, 0.25], abs=0.01)
    assert found.agreement == pytest.approx(0)  # tau is 1 with the first judge and -1 with the second


def test_every_draw_of_three_judges_is_as_likely_as_another():
    """Against all 27 draws written out."""
    scores = np.array([[0.9, 0.51, 0.42, 0.1], [0.2, 0.8, 0.3, 0.15], [0.55, 0.1, 0.7, 0.6]])
    every = np.array([ranks_of(scores[list(chosen)].mean(axis=0)) for chosen in itertools.product(range(3), repeat=3)])
    found = rank_scores(scores, draws=40_000, seed=3, coverage=0.8, top_count=2)
    np.testing.assert_allclose(found.top_ratio, (every <= 2).mean(axis=0), atol=0.01)
    expected = np.quantile(every, [0.1, 0.9], axis=0, method="inverted_cdf")
    assert (found.rank_low.tolist(), found.rank_high.tolist()) == (expected[0].tolist(), expected[1].tolist())


def test_kendalls_tau_is_by_hand():
    """Ranks of the mean: 1, 2, 3. The judges' are 1, 2, 3 and 2, 1, 3: of three pairs one is turned, tau = 1/3."""
    found = rank_scores(np.array([[0.9, 0.5, 0.1], [0.5, 0.6, 0.1]]), **ASKED)
    assert found.rank.tolist() == [1, 2, 3]
    assert found.agreement == pytest.approx((1 + 1 / 3) / 2)


def test_the_same_seed_gives_the_same_interval_and_more_draws_than_fit_at_once_are_drawn():
    scores = np.random.default_rng(5).random((6, 9))
    more = {**ASKED, "draws": DRAWS_AT_ONCE + 7}
    first, second = rank_scores(scores, **more), rank_scores(scores, **more)
    assert first.top_ratio.tolist() == second.top_ratio.tolist()
    assert rank_scores(scores, **{**more, "seed": 1}).top_ratio.tolist() != first.top_ratio.tolist()


def test_one_thing_alone_has_no_agreement():
    found = rank_scores(np.array([[0.2], [0.4]]), **ASKED)
    assert found.rank.tolist() == [1]
    assert np.isnan(found.agreement)


@pytest.mark.parametrize("scores", [np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(3), np.array([[1.0, np.nan]])])
def test_nothing_to_rank_is_an_error(scores: np.ndarray):
    with pytest.raises(ValueError, match="expected finite scores"):
        rank_scores(scores, **ASKED)


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 1000))
def test_intervals_are_within_the_ranks_there_are_and_tops_sum_to_their_count(judges: int, things: int, seed: int):
    scores = np.random.default_rng(seed).random((judges, things))
    found = rank_scores(scores, draws=50, seed=seed, coverage=0.95, top_count=3)
    assert (found.rank_low >= 1).all()
    assert (found.rank_low <= found.rank_high).all()
    assert (found.rank_high <= things).all()
    assert found.top_ratio.sum() == pytest.approx(min(3, things))
