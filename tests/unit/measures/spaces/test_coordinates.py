"""Maps of made spaces: principal components against hand calculations, UMAP against what any map must keep."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.measures.spaces.coordinates import by_principal_components, by_umap
from atlas_resources.measures.spaces.neighbour_graphs import nearest, unit_rows


def groups(*sizes: int, spread: float = 0.05) -> np.ndarray:
    """Unit vectors of 8 numbers around as many axes."""
    drawing = np.random.default_rng(5)
    rows = [np.eye(8)[number] + spread * drawing.normal(size=(size, 8)) for number, size in enumerate(sizes)]
    return unit_rows(np.concatenate(rows))


def map_of(unit: np.ndarray) -> np.ndarray:
    return by_umap(unit, *nearest(unit, 20))


class TestPrincipalComponents:
    def test_they_are_those_of_a_hand_calculation(self):
        """Vectors at 30, -30 and 180 degrees have the mean ((√3 - 1) / 3, 0). Their first component is horizontal.

        The third is farthest along it, so that it is positive; of the first two, equally far along the second, the
        first is.
        """
        angles = np.deg2rad([30, -30, 180])
        found, share = by_principal_components(np.stack([np.cos(angles), np.sin(angles)], axis=1))
        step = (np.sqrt(3) + 2) / 6
        assert found == pytest.approx(np.array([[-step, 0.5], [-step, -0.5], [2 * step, 0]]), abs=1e-6)
        assert share == pytest.approx(1)

    def test_their_share_is_that_of_the_variances(self):
        """Nine, four and one vectors to both sides of three axes have variances of 9 : 4 : 1."""
        sides = np.repeat(np.concatenate([np.eye(3), -np.eye(3)]), [9, 4, 1] * 2, axis=0)
        assert by_principal_components(sides)[1] == pytest.approx(13 / 14)

    def test_two_plates_are_as_far_apart_as_their_vectors_and_the_first_is_to_the_right(self):
        found, share = by_principal_components(np.eye(5)[:2])
        assert found == pytest.approx(np.array([[np.sqrt(0.5), 0], [-np.sqrt(0.5), 0]]), abs=1e-6)
        assert share == pytest.approx(1)

    def test_a_space_of_one_number_lies_on_a_line(self):
        found, share = by_principal_components(np.array([[1.0], [-1.0], [1.0]]))
        assert found == pytest.approx(np.array([[-2 / 3, 0], [4 / 3, 0], [-2 / 3, 0]]), abs=1e-6)
        assert share == pytest.approx(1)

    @pytest.mark.parametrize("count", [1, 2, 40])
    def test_equal_vectors_are_one_point_without_a_share(self, count: int):
        found, share = by_principal_components(np.tile(unit_rows(np.arange(1.0, 8)[None]), (count, 1)))
        assert not found.any()
        assert not np.signbit(found).any()
        assert np.isnan(share)


class TestUmap:
    def test_separate_groups_stay_apart(self):
        """No plate is nearer to one of the other group than to the farthest of its own."""
        found = map_of(groups(20, 25))
        apart = np.linalg.norm(found[:, None] - found, axis=2)
        own = np.arange(45) < 20
        is_same = own[:, None] == own
        assert apart[is_same].max() < apart[~is_same].min()

    def test_neighbours_stay_near(self):
        """Of 200 drawn plates, those that are neighbours are nearer on the map than plates are on average."""
        unit = unit_rows(np.random.default_rng(8).normal(size=(200, 4)))
        found, (graph, _) = map_of(unit), nearest(unit, 5)
        apart = np.linalg.norm(found[:, None] - found, axis=2)
        assert np.take_along_axis(apart, graph, axis=1).mean() < 0.25 * apart.mean()

    def test_the_same_rows_give_the_same_map_in_another_process_too(self):
        code = (
            "import sys; sys.path[:0] = ['.', 'tests/unit/measures/spaces']\n"
            "from test_coordinates import groups, map_of\n"
            "print(map_of(groups(16, 16, spread=0.4)).tolist())"
        )
        found = map_of(groups(16, 16, spread=0.4))
        assert np.array_equal(found, map_of(groups(16, 16, spread=0.4)))
        other = subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
        )
        assert other.stdout.strip() == str(found.tolist())
        assert other.stderr == ""

    @pytest.mark.parametrize("spread", [0.0, 0.05])
    def test_copies_have_places(self, spread: float):
        """Thirty equal vectors; and twenty pairs."""
        unit = groups(30, spread=0) if spread == 0 else np.repeat(groups(20, spread=spread), 2, axis=0)
        found = map_of(unit)
        assert np.isfinite(found).all()
        assert np.ptp(found, axis=0).min() > 0

    def test_a_vector_opposite_to_all_others_has_a_place(self):
        rows = np.tile([[1.0, 0.0]], (31, 1))
        rows[-1] = [-1, 0]
        assert np.isfinite(map_of(rows)).all()

    def test_nothing_is_said_to_the_user(self):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            map_of(groups(30))
        assert [str(one.message) for one in said] == []
