"""Clusters, outliers and dimension of made spaces whose answer is known, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.neighbors import LocalOutlierFactor

from atlas_resources.measures.spaces.neighbour_graphs import nearest, unit_rows
from atlas_resources.measures.spaces.structure import (
    LEFT_OUT,
    chords,
    clusters_of_resamples,
    find_clusters,
    intrinsic_dimension,
    local_outlier_factors,
)


def blobs(sizes: list[int], spread: float = 0.05, dim: int = 16, strays: int = 0) -> np.ndarray:
    drawing = np.random.default_rng(7)
    centres = np.eye(dim)[: len(sizes)]
    rows = [centre + spread * drawing.normal(size=(size, dim)) for centre, size in zip(centres, sizes, strict=True)]
    return unit_rows(np.concatenate([*rows, np.eye(dim)[len(sizes) : len(sizes) + strays]]))


def stability(unit: np.ndarray) -> float:
    return float(np.mean(list(clusters_of_resamples(unit, find_clusters(unit).labels))))


class TestClusters:
    def test_separate_groups_are_clusters_in_order_of_size(self):
        found = find_clusters(blobs([10, 30, 20]))
        assert found.labels.tolist() == [2] * 10 + [0] * 30 + [1] * 20
        assert stability(blobs([10, 30, 20])) == pytest.approx(1)
        assert (found.probabilities > 0).all()

    def test_a_stray_plate_is_left_out(self):
        found = find_clusters(blobs([30, 30], strays=4))
        assert (found.labels[-4:] == LEFT_OUT).all()
        assert (found.probabilities[-4:] == 0).all()

    def test_an_exemplar_is_the_plate_that_is_nearest_to_all_of_its_cluster(self):
        unit = blobs([12, 20])
        found = find_clusters(unit)
        members = unit[:12] @ unit[:12].T
        assert found.exemplars[1] == members.mean(axis=1).argmax()

    def test_noise_has_no_stable_clusters(self):
        unit = unit_rows(np.random.default_rng(3).normal(size=(120, 32)))
        assert not find_clusters(unit).exemplars.size or stability(unit) < 0.5

    @pytest.mark.parametrize("count", [1, 9])
    def test_too_few_plates_make_no_cluster(self, count: int):
        found = find_clusters(blobs([count]))
        assert (found.labels == LEFT_OUT).all()
        assert list(clusters_of_resamples(blobs([count]), found.labels)) == []

    def test_the_same_plates_give_the_same_clusters(self):
        first, second = (find_clusters(blobs([15, 25], spread=0.3)) for _ in range(2))
        assert (first.labels == second.labels).all()
        unit = blobs([15, 25], spread=0.3)
        assert list(clusters_of_resamples(unit, first.labels)) == list(clusters_of_resamples(unit, second.labels))


class TestOutliers:
    def test_factors_are_those_of_scikit_learn_over_the_vectors(self):
        unit = blobs([40, 40], strays=3)
        reference = -LocalOutlierFactor(n_neighbors=20, algorithm="brute").fit(unit).negative_outlier_factor_
        assert local_outlier_factors(*nearest(unit, 20)) == pytest.approx(reference)

    def test_a_stray_plate_stands_out(self):
        found = local_outlier_factors(*nearest(blobs([60], strays=1), 10))
        assert found.argmax() == 60
        assert found[60] > 2
        assert np.median(found[:60]) == pytest.approx(1, abs=0.1)

    def test_a_plate_without_neighbours_has_no_factor(self):
        assert np.isnan(local_outlier_factors(np.empty((1, 0), dtype=np.int64), np.empty((1, 0)))).all()


@pytest.mark.parametrize("dimension", [2, 5])
def test_the_dimension_of_a_patch_of_a_sphere_is_found(dimension: int):
    """Points on a small patch of a sphere spread in as many directions as it has; its edge lowers the estimate."""
    drawing = np.random.default_rng(1)
    rows = np.zeros((2000, 30))
    rows[:, 0] = 1
    rows[:, 1 : dimension + 1] = 0.1 * drawing.uniform(size=(2000, dimension))
    _, cosines = nearest(unit_rows(rows), 2)
    assert intrinsic_dimension(cosines) == pytest.approx(dimension, rel=0.15)


def test_copies_do_not_count_for_the_dimension():
    rows = np.random.default_rng(2).normal(size=(40, 8))
    _, cosines = nearest(unit_rows(np.concatenate([rows, rows[:5]])), 2)
    assert np.isfinite(intrinsic_dimension(cosines))


def test_too_few_plates_have_no_dimension():
    assert np.isnan(intrinsic_dimension(nearest(blobs([9]), 2)[1]))
    assert np.isnan(intrinsic_dimension(nearest(blobs([2]), 2)[1]))


def test_a_chord_is_the_distance_of_the_end_points():
    assert chords(np.array([1.0, 0.0, -1.0, 1.0000000001])).tolist() == pytest.approx([0, np.sqrt(2), 2, 0])
