"""The graph of nearest neighbours is exact, and two graphs are compared plate by plate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from atlas_resources.measures.spaces import neighbour_graphs
from atlas_resources.measures.spaces.neighbour_graphs import is_mutual, nearest, relabelled, shared, unit_rows

CIRCLE = unit_rows(np.array([[np.cos(angle), np.sin(angle)] for angle in np.deg2rad([0, 10, 30, 60, 180])]))


def drawn(count: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dim)))


def test_neighbours_on_a_circle_are_those_of_the_smallest_angle():
    graph, cosines = nearest(CIRCLE, 2)
    assert graph.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1], [3, 2]]
    assert np.rad2deg(np.arccos(cosines[0])).round(6).tolist() == [10, 30]


def test_neighbours_are_those_of_scikit_learn():
    unit = drawn(300, 32)
    reference = NearestNeighbors(metric="cosine", algorithm="brute").fit(unit)
    distances, graph = reference.kneighbors(n_neighbors=20)
    found, cosines = nearest(unit, 20)
    assert (found == graph).all()
    assert np.abs(cosines - (1 - distances)).max() < 1e-12


def test_blocks_change_nothing(monkeypatch):
    unit = drawn(100, 8)
    whole = nearest(unit, 10)
    monkeypatch.setattr(neighbour_graphs, "BLOCK_ROWS", 7)
    assert all((one == other).all() for one, other in zip(whole, nearest(unit, 10), strict=True))


def test_of_equally_near_plates_the_earlier_comes_first():
    unit = unit_rows(np.array([[1.0, 0], [0, 1], [0, 1], [0, 1]]))
    assert nearest(unit, 3)[0].tolist() == [[1, 2, 3], [2, 3, 0], [1, 3, 0], [1, 2, 0]]


@pytest.mark.parametrize(("count", "k", "expected"), [(1, 20, 0), (2, 20, 1), (5, 3, 3)])
def test_there_are_at_most_as_many_neighbours_as_other_plates(count: int, k: int, expected: int):
    assert nearest(drawn(count, 4), k)[0].shape == (count, expected)


@pytest.mark.parametrize("bad", [[[0.0, 0.0], [1.0, 0.0]], [[np.nan, 1.0], [1.0, 0.0]], [[np.inf, 1.0], [1.0, 0.0]]])
def test_a_vector_without_a_direction_is_refused(bad: list):
    with pytest.raises(ValueError, match="expected finite vectors that are not all 0"):
        unit_rows(np.array(bad))


def test_shared_neighbours_are_counted_whatever_their_order():
    first, second = np.array([[1, 2, 3, 4]]), np.array([[4, 9, 1, 8]])
    assert shared(first, second).tolist() == [0.5]
    with pytest.raises(ValueError, match="graphs of one shape"):
        shared(first, second[:, :2])


@settings(deadline=None)
@given(st.integers(0, 50))
def test_relabelling_a_graph_is_the_graph_of_the_relabelled_plates(seed: int):
    unit = drawn(30, 5, seed)
    order = np.random.default_rng(seed).permutation(30)
    assert (relabelled(nearest(unit, 4)[0], order) == nearest(unit[order], 4)[0]).all()


def test_a_neighbour_is_mutual_if_it_has_the_plate_among_its_own():
    assert is_mutual(nearest(CIRCLE, 2)[0]).tolist() == [[True] * 2] * 3 + [[False] * 2] * 2


def test_of_more_copies_than_neighbours_the_earlier_ones_are_taken():
    """Rows 5 to 64 are copies. Each of them has the first of the others, in order, and so has row 0, which is near."""
    rows = np.random.default_rng(4).normal(size=(80, 12))
    rows[5:65] = rows[5]
    rows[0] = rows[5] + 0.01 * rows[1]
    indices, cosines = nearest(unit_rows(rows), 6)
    assert indices[5].tolist() == [6, 7, 8, 9, 10, 11]
    assert indices[64].tolist() == [5, 6, 7, 8, 9, 10]
    assert indices[0].tolist() == [5, 6, 7, 8, 9, 10]
    assert cosines[5] == pytest.approx([1] * 6)
