"""What the ledgers of topology say of given vectors, and when they are built anew."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest
from polars.testing import assert_frame_equal
from support.made_spaces import MadeSpaces, drawn_vectors, plate_names

from atlas_assets.graph.ledgers import told_by_ledgers
from atlas_resources.ledgers.parquet import ledger_path, read_ledger, write_ledger
from atlas_resources.ledgers.topology import coordinates, neighbours, shapes
from atlas_resources.ledgers.topology.spaces import COLOUR
from atlas_resources.measures.spaces import structure
from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.topology.agreement import AGREEMENT

pytestmark = pytest.mark.usefixtures("fakes")

ANGLES = np.deg2rad([0, 10, 30, 60, 180])
CIRCLE = {name: (math.cos(a), math.sin(a)) for name, a in zip(plate_names(5), ANGLES, strict=True)}
FORTY = drawn_vectors(40, 8, seed=1)
OTHER = drawn_vectors(40, 16, seed=2)


@pytest.fixture
def three(tmp_path: Path) -> MadeSpaces:
    """Two instruments that agree wholly and one that has nothing to do with them."""
    return MadeSpaces(tmp_path, {"one": FORTY, "same": FORTY, "other": OTHER})


class TestNeighbours:
    def test_they_are_those_of_the_smallest_angle(self, tmp_path: Path):
        rows = MadeSpaces(tmp_path, {"one": CIRCLE}).build("neighbours")["neighbours"]
        first = rows.filter(plate_id="plate-001").sort("rank")
        assert first["neighbour_id"].to_list() == ["plate-002", "plate-003", "plate-004", "plate-005"]
        assert first["cosine"].to_list() == pytest.approx([math.cos(math.radians(a)) for a in (10, 30, 60, 180)])
        assert rows["is_mutual"].all()

    def test_at_most_twenty_are_kept_of_each_plate(self, three: MadeSpaces):
        rows = three.build("neighbours")["neighbours"]
        assert rows.group_by("space", "plate_id").len()["len"].unique().to_list() == [20]

    def test_rows_that_are_not_current_whole_plates_are_not_part_of_a_space(self, tmp_path: Path):
        made = MadeSpaces(tmp_path, {"one": CIRCLE})
        rows = read_ledger(made.dataset, INSTRUMENT_TABLES["embedding"]).to_dicts()
        made.write_embeddings(
            [
                *rows[:3],
                {**rows[3], "is_current": False},
                {**rows[4], "scope": "tile", "tile_id": "1-1"},
                {**rows[0], "plate_id": "plate-007", "vector": [0.0, 0.0], "l2_norm": 0.0},
                {**rows[0], "plate_id": "plate-008", "instrument": "not_in_the_roster"},
            ]
        )
        found = made.build("neighbours")["neighbours"]
        assert set(found["plate_id"]) == {"plate-001", "plate-002", "plate-003"}
        assert found["space"].unique().to_list() == ["one"]

    def test_colours_are_a_space_whose_cosine_is_bhattacharyyas_coefficient(self, tmp_path: Path):
        made = MadeSpaces(tmp_path, {})
        made.write_colours({"plate-001": [9, 16, 0], "plate-002": [16, 9, 0], "plate-003": [0, 0, 25]})
        rows = made.build("neighbours")["neighbours"].filter(plate_id="plate-001")
        assert rows["space"].to_list() == [COLOUR, COLOUR]
        assert rows["cosine"].to_list() == pytest.approx([24 / 25, 0])

    def test_one_plate_and_none_have_no_neighbours(self, tmp_path: Path):
        assert MadeSpaces(tmp_path / "none", {}).build()["neighbours"].is_empty()
        built = MadeSpaces(tmp_path / "one", {"one": {"plate-001": [1.0, 2.0]}}).build()
        assert built["neighbours"].is_empty()
        assert built["spaces"]["plate_count"].to_list() == [1]
        assert built["plate_spaces"]["outlier_factor"].to_list() == [None]


class TestWhatIsKept:
    def test_spaces_that_have_not_changed_are_not_computed_again(self, three: MadeSpaces, monkeypatch):
        before = three.build()
        for module in (neighbours, shapes, coordinates):
            monkeypatch.setattr(module, "read_spaces", lambda *_: pytest.fail("vectors were read"))
        for name, rows in three.build().items():
            assert_frame_equal(rows, before[name])

    def test_a_rebuild_gives_the_same_rows(self, three: MadeSpaces):
        before = three.build()
        for path in three.dataset.ledger_dir.glob("*.parquet"):
            if path.stem in before:
                path.unlink()
        for name, rows in three.build().items():
            assert_frame_equal(rows, before[name])

    @pytest.mark.parametrize("names", [("plate_spaces", "spaces"), ("spaces", "plate_spaces")])
    def test_each_table_is_written_once_by_its_own_builder(self, three: MadeSpaces, monkeypatch, names):
        """In either order of building, the rows are the same."""
        whole = three.build()
        for name in names:
            ledger_path(three.dataset, LEDGERS[name]).unlink()
        written = []

        def write(dataset, table, rows):
            written.append(table.name)
            return write_ledger(dataset, table, rows)

        monkeypatch.setattr(shapes, "write_ledger", write)
        for name in names:
            assert_frame_equal(three.build(name)[name], whole[name])
        assert written == list(names)

    def test_only_the_space_that_changed_is_computed_again(self, three: MadeSpaces):
        before = three.build()
        three.write({"one": FORTY, "same": FORTY, "other": {**OTHER, "plate-040": OTHER["plate-001"]}})
        after = three.build()
        for name in ("neighbours", "spaces", "plate_spaces"):
            assert_frame_equal(after[name].filter(space="one"), before[name].filter(space="one"))
            assert not after[name].filter(space="other").equals(before[name].filter(space="other"))
        both = {"first_space": "one", "second_space": "same"}
        assert_frame_equal(after["agreement"].filter(**both), before["agreement"].filter(**both))

    def test_a_space_that_is_gone_leaves_every_ledger(self, three: MadeSpaces):
        three.build()
        three.write({"one": FORTY, "same": FORTY})
        after = three.build()
        assert set(after["spaces"]["space"]) == {"one", "same"}
        assert after["agreement"].height == 6
        assert after["plate_agreement"]["space_count"].unique().to_list() == [2]


class TestAgreement:
    def test_equal_spaces_agree_wholly_and_independent_ones_not_at_all(self, three: MadeSpaces):
        rows = three.build()["agreement"]
        equal = rows.filter(first_space="one", second_space="same")
        assert equal["calibrated"].to_list() == pytest.approx([1.0] * 6)
        assert equal["p_value"].to_list() == pytest.approx([1 / 201] * 6)
        apart = rows.filter(first_space="one", second_space="other")
        assert (apart["calibrated"] < 0.1).all()
        assert (apart["p_value"] > 0.01).all()
        assert (apart["low"] <= apart["value"]).all()
        assert (apart["value"] <= apart["high"]).all()

    def test_chance_is_as_its_formula_gives(self, three: MadeSpaces):
        """k of the 39 others are shared by chance: k / 39."""
        rows = three.build()["agreement"].filter(first_space="one", second_space="other")
        null = dict(rows.select("measure", "null_mean").iter_rows())
        for k in (5, 10, 20):
            assert null[f"neighbours_{k}"] == pytest.approx(k / 39, abs=0.01)

    def test_spaces_are_compared_over_the_plates_that_both_have(self, tmp_path: Path):
        some = {name: vector for name, vector in FORTY.items() if name > "plate-010"}
        rows = MadeSpaces(tmp_path, {"one": FORTY, "some": some}).build()["agreement"]
        assert rows["plate_count"].unique().to_list() == [30]
        assert rows["calibrated"].to_list() == pytest.approx([1.0] * 6)

    def test_too_few_plates_are_not_compared(self, tmp_path: Path):
        built = MadeSpaces(tmp_path, {"one": CIRCLE, "same": CIRCLE}).build()
        assert built["agreement"].equals(AGREEMENT.schema.to_frame())
        assert built["plate_agreement"]["shared_neighbours"].to_list() == [1.0] * 5


class TestPlates:
    def test_a_plate_that_the_spaces_place_elsewhere_has_the_first_rank(self, tmp_path: Path):
        """In the second space, the last plate has another's vector and its neighbours."""
        blobs = {name: [1.0, 0.01 * number, 0.0] if number < 12 else [0.0, 0.01 * number, 1.0]
                 for number, name in enumerate(plate_names(24))}  # fmt: skip
        moved = {**blobs, "plate-024": [1.0, 0.055, 0.0]}
        rows = MadeSpaces(tmp_path, {"one": blobs, "moved": moved}).build()["plate_agreement"]
        assert rows.sort("disagreement_rank")["plate_id"][0] == "plate-024"
        assert rows.filter(plate_id="plate-024")["shared_neighbours"].to_list() < [0.2]

    def test_a_plate_alone_in_every_space_is_an_outlier_everywhere(self, tmp_path: Path):
        drawing = np.random.default_rng(3)
        near = {name: [1.0, *(0.02 * drawing.normal(size=6))] for name in plate_names(40)}
        alone = {**near, "plate-040": [0.0, 1.0, 0, 0, 0, 0, 0]}
        built = MadeSpaces(tmp_path, {"one": alone, "same": alone, "near": near}).build()
        row = built["plate_agreement"].filter(plate_id="plate-040").to_dicts()[0]
        assert row["outlier_spaces"] == ["one", "same"]
        assert not row["is_outlier_everywhere"]
        assert built["plate_spaces"].filter(space="one", plate_id="plate-040")["uniqueness"].item() == 39 / 40
        without = MadeSpaces(tmp_path / "two", {"one": alone, "same": alone}).build()["plate_agreement"]
        assert without.filter("is_outlier_everywhere")["plate_id"].to_list() == ["plate-040"]

    def test_clusters_have_an_exemplar_each(self, tmp_path: Path):
        drawing = np.random.default_rng(4)
        rows = {name: [float(number < 20), float(number >= 20), *(0.05 * drawing.normal(size=4))]
                for number, name in enumerate(plate_names(32))}  # fmt: skip
        built = MadeSpaces(tmp_path, {"one": rows}).build()
        space = built["spaces"].to_dicts()[0]
        assert (space["cluster_count"], space["clustered_ratio"]) == (2, 1.0)
        assert space["cluster_stability"] == pytest.approx(1)
        exemplars = built["plate_spaces"].filter("is_exemplar")
        assert exemplars["cluster"].sort().to_list() == [0, 1]

    def test_a_long_search_for_clusters_says_how_far_it_is(self, tmp_path: Path, monkeypatch):
        for module in (shapes, structure):
            monkeypatch.setattr(module, "MANY", 31)
        drawing = np.random.default_rng(4)
        rows = {name: [float(number < 20), float(number >= 20), *(0.05 * drawing.normal(size=4))]
                for number, name in enumerate(plate_names(32))}  # fmt: skip
        told: list[tuple[int, str]] = []
        with told_by_ledgers(lambda level, text: told.append((level, text))):
            MadeSpaces(tmp_path, {"one": rows}).build("neighbours", "plate_spaces", "spaces")
        assert [text for _, text in told] == [
            "one: finding clusters among 32 plates",
            *(f"one: clusters of resample {number} of 5 found" for number in range(1, 6)),
        ]
        assert {level for level, _ in told} == {logging.INFO}
        assert not logging.getLogger("atlas_resources.ledgers").isEnabledFor(logging.INFO)


class TestCopies:
    HASHES = {"plate-001": "00" * 8, "plate-002": "00" * 7 + "03", "plate-003": "ff" * 8, "plate-004": "0f" * 8}  # noqa: RUF012 - no test changes it

    def test_pairs_are_found_by_file_by_hash_and_by_vectors(self, tmp_path: Path):
        vectors = {"plate-001": [1.0, 0, 0], "plate-002": [0.0, 1, 0], "plate-003": [0.0, 0, 1],
                   "plate-004": [0.0, 0.1, 1.0]}  # fmt: skip
        made = MadeSpaces(tmp_path, {"one": vectors})
        made.write_hashes(self.HASHES, {"plate-001": "a", "plate-004": "a"})
        rows = made.build()["near_duplicates"]
        found = {(row["first_plate"], row["second_plate"]): row for row in rows.to_dicts()}
        assert found.keys() == {("plate-001", "plate-002"), ("plate-001", "plate-004"), ("plate-003", "plate-004")}
        assert found["plate-001", "plate-002"]["phash_distance"] == 2
        assert found["plate-001", "plate-004"]["is_same_file"]
        by_vectors = found["plate-003", "plate-004"]
        assert by_vectors["is_by_vectors"]
        assert by_vectors["cosines"] == [{"space": "one", "cosine": pytest.approx(1 / math.sqrt(1.01)), "rank": 1}]
        assert rows["group_number"].to_list() == [1, 1, 1]

    def test_a_pair_of_one_space_alone_is_none_by_vectors(self, tmp_path: Path):
        pairs = {"one": {"plate-001": [1.0, 0], "plate-002": [1.0, 0.1], "plate-003": [0.0, 1]},
                 "two": {"plate-001": [1.0, 0], "plate-002": [0.0, 1], "plate-003": [1.0, 0.1]}}  # fmt: skip
        made = MadeSpaces(tmp_path, pairs)
        made.write_hashes({"plate-001": "00" * 8, "plate-002": "ff" * 8, "plate-003": "0f" * 8})
        assert made.build()["near_duplicates"].is_empty()


class TestAdditions:
    def test_instruments_that_add_nothing_say_stop_after_the_second(self, tmp_path: Path):
        made = MadeSpaces(tmp_path, {"a": FORTY, "b": FORTY, "c": FORTY})
        rows = made.build()["additions"].filter(kind="in_order").sort("position")
        assert rows["instrument"].to_list() == ["a", "b", "c"]
        assert rows["changed_ratio"].to_list() == [None, 0, 0]
        assert rows["is_below_threshold"].to_list() == [None, True, True]
        assert rows["is_stop"].to_list() == [False, False, True]
        assert rows["seconds_per_plate"].to_list() == [0.5] * 3

    def test_an_independent_instrument_changes_much_and_per_second(self, tmp_path: Path):
        made = MadeSpaces(tmp_path, {"a": FORTY, "b": OTHER})
        added = made.build()["additions"].filter(kind="in_order", position=2).to_dicts()[0]
        assert added["changed_ratio"] > 0.3
        assert added["low"] <= added["changed_ratio"] <= added["high"]
        assert added["changed_ratio_per_second"] == pytest.approx(added["changed_ratio"] / 0.5)
        assert not added["is_stop"]

    def test_leaving_out_one_of_two_alike_changes_less_than_leaving_out_the_other_kind(self, three: MadeSpaces):
        rows = three.build()["additions"].filter(kind="left_out")
        changed = dict(rows.select("instrument", "changed_ratio").iter_rows())
        assert changed["one"] == pytest.approx(changed["same"])
        assert changed["one"] < changed["other"]
        assert rows["position"].null_count() == 3

    def test_plates_that_one_instrument_lacks_are_left_out_of_all(self, tmp_path: Path):
        some = {name: vector for name, vector in FORTY.items() if name > "plate-010"}
        rows = MadeSpaces(tmp_path, {"a": FORTY, "b": some}).build()["additions"]
        assert rows["plate_count"].unique().to_list() == [30]
        assert max(rows["changed_ratio"].drop_nulls().to_list()) < 0.5


def test_the_cosines_to_all_others_do_not_depend_on_how_many_dimensions_are_empty(tmp_path: Path):
    """With more dimensions than plates they are taken from another matrix."""
    vectors = drawn_vectors(12, 8, seed=5)
    padded = {plate_id: [*vector, *[0.0] * 56] for plate_id, vector in vectors.items()}
    few = MadeSpaces(tmp_path / "few", {"one": vectors}).build("neighbours", "plate_spaces")["plate_spaces"]
    many = MadeSpaces(tmp_path / "many", {"one": padded}).build("neighbours", "plate_spaces")["plate_spaces"]
    unit = np.array([np.divide(vector, np.linalg.norm(vector)) for vector in vectors.values()])
    others = [np.delete(row, number) for number, row in enumerate(unit @ unit.T)]
    for name, expected in (("mean_cosine", np.mean(others, axis=1)), ("std_cosine", np.std(others, axis=1))):
        assert few[name].to_list() == pytest.approx(expected)
        assert many[name].to_list() == pytest.approx(expected)
