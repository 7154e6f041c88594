"""The ledger of coordinates: which maps there are, of what they are made, and when they are drawn anew."""

import json
from pathlib import Path

import numpy as np
import pytest
from polars.testing import assert_frame_equal
from support.made_spaces import MadeSpaces, drawn_vectors

from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.ledgers.topology import coordinates
from atlas_resources.ledgers.topology.coordinates import expected_coordinates
from atlas_resources.measures.spaces.coordinates import by_principal_components, by_umap
from atlas_resources.measures.spaces.neighbour_graphs import nearest, unit_rows
from atlas_resources.tables.topology.coordinates import COORDINATES

pytestmark = pytest.mark.usefixtures("fakes")


class Drawn:
    """Counts the maps that are drawn, by method."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.methods: list[str] = []
        for method in ("pca", "umap"):
            name = {"pca": "by_principal_components", "umap": "by_umap"}[method]
            monkeypatch.setattr(coordinates, name, self._counting(method, getattr(coordinates, name)))

    def _counting(self, method, draw):
        def counted(*given):
            self.methods.append(method)
            return draw(*given)

        return counted

    def since(self) -> list[str]:
        found, self.methods = sorted(self.methods), []
        return found


def built(made: MadeSpaces):
    return made.build("neighbours", "coordinates")["coordinates"]


@pytest.mark.parametrize(("plates", "methods"), [(1, ["pca"]), (2, ["pca"]), (29, ["pca"]), (30, ["pca", "umap"])])
def test_umap_is_of_thirty_plates_or_more(tmp_path: Path, plates: int, methods: list[str]):
    rows = built(MadeSpaces(tmp_path, {"one": drawn_vectors(plates, 6, seed=1)}))
    assert rows["method"].unique().sort().to_list() == methods
    assert rows.height == plates * len(methods)
    assert rows.select("x", "y").null_count().row(0) == (0, 0)
    assert rows.select("x", "y").to_numpy().dtype == np.float64


def test_a_library_without_vectors_has_no_map(tmp_path: Path):
    assert built(MadeSpaces(tmp_path, {})).equals(COORDINATES.schema.to_frame())


def test_rows_are_those_of_the_measures_over_the_stored_neighbours(tmp_path: Path):
    vectors = drawn_vectors(32, 6, seed=2)
    rows = built(MadeSpaces(tmp_path, {"one": vectors}))
    unit = unit_rows(np.array(list(vectors.values()), dtype=np.float32))  # as the ledger keeps them
    points, share = by_principal_components(unit)
    by_method = {name: rows.filter(method=name) for name in ("pca", "umap")}
    assert by_method["pca"]["plate_id"].to_list() == list(vectors)
    assert np.array_equal(by_method["pca"].select("x", "y").to_numpy(), points)
    assert by_method["pca"]["explained_ratio"].unique().to_list() == [pytest.approx(share)]
    assert np.array_equal(by_method["umap"].select("x", "y").to_numpy(), by_umap(unit, *nearest(unit, 20)))
    assert by_method["umap"]["explained_ratio"].null_count() == 32


def test_parameters_name_the_library_its_version_and_the_seed(tmp_path: Path):
    rows = built(MadeSpaces(tmp_path, {"one": drawn_vectors(30, 6, seed=1)}))
    found = {json.loads(text)["method"]: json.loads(text) for text in rows["parameters"].unique()}
    assert found["umap"].items() >= {"n_neighbors": 15, "min_dist": 0.1, "metric": "cosine", "seed": 0}.items()
    assert (found["umap"]["library"], found["pca"]["library"]) == ("umap-learn", "scikit-learn")
    assert all(one["version"] for one in found.values())


def test_colours_and_copies_are_drawn_too(tmp_path: Path):
    made = MadeSpaces(tmp_path, {"one": {name: [1.0, 2.0] for name in drawn_vectors(30, 6, seed=1)}})
    made.write_colours({"plate-001": [9, 16, 0], "plate-002": [9, 16, 0], "plate-003": [0, 0, 25]})
    rows = built(made)
    colour = rows.filter(space="colour_histogram").sort("plate_id")
    assert colour["x"].to_list() == pytest.approx([-np.sqrt(2) / 3, -np.sqrt(2) / 3, 2 * np.sqrt(2) / 3], abs=1e-6)
    copies = rows.filter(space="one", method="pca")
    assert copies.select("x", "y", "explained_ratio").unique().rows() == [(0, 0, None)]
    assert rows.filter(space="one", method="umap")["x"].is_finite().all()


class TestWhatIsKept:
    def test_maps_of_unchanged_spaces_are_not_drawn_again(self, tmp_path: Path, monkeypatch):
        one, other = drawn_vectors(30, 6, seed=1), drawn_vectors(30, 6, seed=2)
        made, drawn = MadeSpaces(tmp_path, {"one": one, "other": other}), Drawn(monkeypatch)
        before = built(made)
        assert drawn.since() == ["pca", "pca", "umap", "umap"]
        assert_frame_equal(built(made), before)
        assert drawn.since() == []
        made.write({"one": one, "other": {**other, "plate-030": one["plate-001"]}})
        after = built(made)
        assert drawn.since() == ["pca", "umap"]
        assert_frame_equal(after.filter(space="one"), before.filter(space="one"))
        assert not after.filter(space="other").equals(before.filter(space="other"))

    def test_a_rebuild_and_other_neighbours_on_disk_give_the_same_rows(self, tmp_path: Path):
        made = MadeSpaces(tmp_path, {"one": drawn_vectors(40, 6, seed=1)})
        before = built(made)
        ledger_path(made.dataset, COORDINATES).unlink()
        assert_frame_equal(built(made), before)
        made.write({"one": drawn_vectors(40, 6, seed=3)})
        behind = made.build("coordinates")["coordinates"]
        assert not behind.equals(before)
        assert_frame_equal(built(made), behind)
        ledger_path(made.dataset, COORDINATES).unlink()
        assert_frame_equal(built(made), behind)

    def test_another_version_of_a_library_draws_its_maps_anew(self, tmp_path: Path, monkeypatch):
        made = MadeSpaces(tmp_path, {"one": drawn_vectors(30, 6, seed=1)})
        before = built(made)
        drawn = Drawn(monkeypatch)
        newer = {**coordinates.PARAMETERS["pca"](), "version": "99"}
        monkeypatch.setitem(coordinates.PARAMETERS, "pca", lambda: newer)
        after = built(made)
        assert drawn.since() == ["pca"]
        digests = set(after["inputs_sha256"])
        assert digests == set(expected_coordinates(made.dataset, made.registry).values())
        assert len(digests & set(before["inputs_sha256"])) == 1

    def test_a_space_that_falls_below_thirty_plates_loses_its_umap(self, tmp_path: Path):
        vectors = drawn_vectors(30, 6, seed=1)
        made = MadeSpaces(tmp_path, {"one": vectors})
        built(made)
        made.write({"one": {name: vector for name, vector in vectors.items() if name > "plate-001"}})
        assert built(made)["method"].unique().to_list() == ["pca"]
