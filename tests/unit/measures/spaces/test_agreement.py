"""Agreement of two spaces: closed forms for equal, rotated, permuted and independent ones, and references."""

import math

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist
from scipy.stats import ortho_group, spearmanr

from atlas_resources.measures.spaces.agreement import (
    debiased_cka,
    distance_ranks,
    gram,
    principal_axes,
    procrustes_similarity,
    rank_correlation,
    unbiased_hsic,
)
from atlas_resources.measures.spaces.chance import permutations
from atlas_resources.measures.spaces.neighbour_graphs import nearest, shared, unit_rows


def drawn(count: int, dim: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dim)))


SPACE = drawn(80, 12, 1)
ROTATED = SPACE @ ortho_group.rvs(12, random_state=2)
PERMUTED = SPACE[next(permutations(80, 1, seed=3))]
MEASURES = {
    "overlap": lambda a, b: shared(nearest(a, 10)[0], nearest(b, 10)[0]).mean(),
    "cka": lambda a, b: debiased_cka(gram(a), gram(b)),
    "distance_ranks": lambda a, b: rank_correlation(distance_ranks(gram(a)), distance_ranks(gram(b))),
    "procrustes": lambda a, b: procrustes_similarity(principal_axes(a), principal_axes(b)),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("other", [SPACE, ROTATED], ids=["equal", "rotated"])
def test_a_space_agrees_wholly_with_itself_and_with_its_rotation(name: str, other: np.ndarray):
    assert MEASURES[name](SPACE, other) == pytest.approx(1)


def test_permuted_plates_share_as_many_neighbours_as_chance_gives():
    """Of N - 1 others, k are drawn by each: k / (N - 1) are shared."""
    found = [MEASURES["overlap"](SPACE, SPACE[order]) for order in permutations(80, 100, seed=4)]
    assert np.mean(found) == pytest.approx(10 / 79, abs=0.01)


@pytest.mark.parametrize("name", ["cka", "distance_ranks"])
def test_independent_spaces_have_no_agreement(name: str):
    found = [MEASURES[name](drawn(60, 200, seed), drawn(60, 300, seed + 1000)) for seed in range(30)]
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(30)


def test_the_plain_alignment_is_inflated_where_the_debiased_is_not():
    """Kornblith's CKA of 60 independent plates in 200 and 300 dimensions is above 0.7; the debiased is about 0."""
    first, second = (gram(unit - unit.mean(axis=0)) for unit in (drawn(60, 200, 1), drawn(60, 300, 2)))
    plain = np.vdot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second))
    assert plain > 0.7
    assert abs(debiased_cka(first, second)) < 0.1


def test_unbiased_hsic_is_the_mean_over_four_different_plates():
    """The U-statistic of Song et al. (2012), equation 4, summed over every ordered choice of four of six plates."""
    first, second = gram(drawn(6, 3, 5)), gram(drawn(6, 3, 6))
    total, number = 0.0, 0
    for i in range(6):
        for j in range(6):
            for q in range(6):
                for r in range(6):
                    if len({i, j, q, r}) == 4:
                        total += first[i, j] * (second[i, j] + second[q, r] - 2 * second[i, q])
                        number += 1
    assert unbiased_hsic(first, second) == pytest.approx(total / number)
    with pytest.raises(ValueError, match="four rows or more, found 3"):
        unbiased_hsic(first[:3, :3], second[:3, :3])


def test_centring_does_not_change_the_debiased_alignment():
    """The estimate centres by itself."""
    one, other = SPACE - SPACE.mean(axis=0), PERMUTED - PERMUTED.mean(axis=0)
    assert debiased_cka(gram(one), gram(other)) == pytest.approx(debiased_cka(gram(SPACE), gram(PERMUTED)))


def test_a_space_without_variation_has_no_alignment():
    assert math.isnan(debiased_cka(np.ones((5, 5)), gram(drawn(5, 3, 1))))


def test_the_rank_correlation_is_scipys():
    reference, _ = spearmanr(pdist(SPACE, "cosine"), pdist(PERMUTED, "cosine"))
    assert MEASURES["distance_ranks"](SPACE, PERMUTED) == pytest.approx(reference)


def test_the_procrustes_similarity_is_scipys():
    disparity = procrustes(SPACE, PERMUTED)[2]
    assert MEASURES["procrustes"](SPACE, PERMUTED) == pytest.approx(math.sqrt(1 - disparity))
