"""Several graphs of neighbours as one, by hand."""

import numpy as np
import pytest

from atlas_resources.measures.spaces.fusion import change, fuse, fuse_rankings, mixed, standardised, votes

FIRST = np.array([[1, 2], [0, 2], [3, 1], [2, 1]])
SECOND = np.array([[2, 3], [2, 3], [3, 0], [2, 0]])


def test_a_vote_is_one_over_sixty_and_the_rank():
    assert votes(FIRST).toarray()[0] == pytest.approx([0, 1 / 61, 1 / 62, 0])


def test_a_neighbour_of_both_spaces_comes_first():
    """Of plate 0: 2 has 1/62 + 1/61, 1 has 1/61, 3 has 1/62."""
    assert fuse([FIRST, SECOND], 2)[0].tolist() == [2, 1]


def test_of_equal_votes_the_earlier_plate_comes_first():
    """Of plate 3: 2 has 1/61 twice; 0 and 1 have 1/62 each."""
    assert fuse([FIRST, SECOND], 2)[3].tolist() == [2, 0]


def test_one_space_alone_keeps_its_order():
    assert (fuse([FIRST], 2) == FIRST).all()


def test_what_a_space_changes_is_the_share_of_other_neighbours():
    assert change([FIRST], [FIRST, FIRST], 2).tolist() == [0, 0, 0, 0]
    assert change([FIRST], [SECOND], 2).tolist() == [0.5, 0.5, 0.5, 0.5]


def test_a_query_that_is_no_plate_is_fused_as_a_plate_is():
    for plate in range(4):
        indices, scores = fuse_rankings([FIRST[plate], SECOND[plate]], 2)
        assert indices.tolist() == fuse([FIRST, SECOND], 2)[plate].tolist()
        assert scores.tolist() == sorted(scores, reverse=True)


def test_the_score_of_a_query_is_the_sum_of_its_votes():
    """Of plate 3: 2 is first twice, then 0 comes before 1."""
    assert fuse_rankings([FIRST[3], SECOND[3]], 2)[1].tolist() == pytest.approx([2 / 61, 1 / 62])


def test_rankings_may_differ_in_length_and_k_may_be_more_than_all():
    indices, scores = fuse_rankings([np.array([4]), np.array([2, 4, 1])], 9)
    assert indices.tolist() == [4, 2, 1]
    assert scores.tolist() == pytest.approx([1 / 61 + 1 / 62, 1 / 61, 1 / 63])


WORDS, PICTURE = np.array([0.25, 0.20, 0.15, 0.20]), np.array([0.2, 0.9, 0.8, 0.1])


def test_standardised_is_in_deviations_from_the_mean():
    """Mean 0.2; deviation sqrt((0.05^2 + 0.05^2) / 4) = 0.05 / sqrt(2)."""
    assert standardised(WORDS).tolist() == pytest.approx([2**0.5, 0, -(2**0.5), 0])
    assert standardised(np.full(3, 0.4)).tolist() == [0, 0, 0]


def test_each_part_of_a_mix_counts_by_its_weight_however_far_its_cosines_are_spread():
    """By hand, of the picture: mean 0.5, deviation sqrt((0.09 + 0.16 + 0.09 + 0.16) / 4) = sqrt(0.125)."""
    spread = 0.125**0.5
    expected = [0.5 * 2**0.5 - 0.15 / spread, 0.2 / spread, -0.5 * 2**0.5 + 0.15 / spread, -0.2 / spread]
    assert mixed(WORDS, PICTURE, 0.5).tolist() == pytest.approx(expected)
    assert mixed(WORDS, PICTURE, 0.5).tolist() == pytest.approx(mixed(WORDS / 9, PICTURE, 0.5).tolist())
    assert np.argmax(mixed(WORDS, PICTURE, 0.2)) == 0
    assert np.argmax(WORDS * 0.8 + PICTURE * 0.2) == 1  # what a sum of cosines, or of unit vectors, would say


def test_the_ends_of_a_mix_order_as_one_part_alone():
    assert np.argsort(mixed(WORDS, PICTURE, 0)).tolist() == np.argsort(WORDS).tolist()
    assert np.argsort(mixed(WORDS, PICTURE, 1)).tolist() == np.argsort(PICTURE).tolist()
    for weight in (-0.1, 1.1):
        with pytest.raises(ValueError, match="expected a weight of 0 to 1"):
            mixed(WORDS, PICTURE, weight)
