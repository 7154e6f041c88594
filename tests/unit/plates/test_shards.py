"""The record of shards: plates go to the last shard until it is full, and stay where they are."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.shards import record
from atlas_resources.plates.shards.record import read_shards, record_plates


@pytest.fixture
def library(tmp_path) -> Dataset:
    """A dataset without plates: the record asks nothing of them."""
    return Dataset(tmp_path / "atlas")


def test_plates_fill_shards_in_order_of_arrival(library):
    shards = record_plates(library, ["a", "b", "c", "d", "e"], 2)
    assert shards.plates == {"shard-000001": ("a", "b"), "shard-000002": ("c", "d"), "shard-000003": ("e",)}
    assert shards.of_plate["d"] == "shard-000002"


def test_a_new_plate_goes_to_the_last_shard_whatever_the_order_of_names(library):
    record_plates(library, ["b", "c", "d"], 2)
    shards = record_plates(library, ["a", "b", "c", "d"], 2)
    assert shards.plates == {"shard-000001": ("b", "c"), "shard-000002": ("d", "a")}


def test_a_plate_that_is_not_named_again_keeps_its_place(library):
    record_plates(library, ["a", "b", "c"], 2)
    assert record_plates(library, ["a", "d"], 2).plates == {"shard-000001": ("a", "b"), "shard-000002": ("c", "d")}


@pytest.mark.parametrize(("size", "then"), [(1, {"shard-000003": ("d",)}), (3, {"shard-000002": ("c", "d")})])
def test_another_size_is_for_shards_that_are_not_full(library, size, then):
    record_plates(library, ["a", "b", "c"], 2)
    expected = {"shard-000001": ("a", "b"), "shard-000002": ("c",), **then}
    assert record_plates(library, ["d"], size).plates == expected


def test_what_is_recorded_already_writes_nothing(library):
    record_plates(library, ["a", "b", "c"], 2)
    before = {path: path.stat().st_mtime_ns for path in (library.root / "shards").iterdir()}
    record_plates(library, ["c", "a"], 2)
    assert {path: path.stat().st_mtime_ns for path in (library.root / "shards").iterdir()} == before


@given(st.lists(st.lists(st.integers(0, 30).map("plate-{:03d}".format), max_size=6), max_size=8), st.integers(1, 4))
def test_no_plate_ever_moves(tmp_path_factory, arrivals, size):
    library = Dataset(tmp_path_factory.mktemp("library"))
    known: dict[str, str] = {}
    for arrived in arrivals:
        of_plate = record_plates(library, arrived, size).of_plate
        assert known.items() <= of_plate.items()
        known = dict(of_plate)
    assert set(known) == {plate_id for arrived in arrivals for plate_id in arrived}
    counts = [len(plates) for plates in read_shards(library.root).plates.values()]
    assert all(count == size for count in counts[:-1])


def test_two_that_record_at_once_lose_no_plate(library):
    names = [[f"{letter}{number}" for number in range(20)] for letter in "ab"]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda ids: record_plates(library, ids, 3), names))
    assert set(read_shards(library.root).of_plate) == {*names[0], *names[1]}


def test_a_process_killed_between_two_files_has_recorded_the_first_plates(library, monkeypatch):
    written = []

    def write_once(path, data):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr(record, "write_bytes_atomically", write_once)
        with pytest.raises(KeyboardInterrupt):
            record_plates(library, ["a", "b", "c"], 2)
    assert read_shards(library.root).plates == {"shard-000001": ("a", "b")}
    assert record_plates(library, ["a", "b", "c"], 2).of_plate["c"] == "shard-000002"


class TestBroken:
    @pytest.fixture
    def folder(self, library):
        record_plates(library, ["a", "b", "c", "d", "e"], 2)
        return library.root / "shards"

    def test_a_missing_file_is_named(self, library, folder):
        os.unlink(folder / "shard-000002.txt")
        with pytest.raises(DatasetBroken, match=r"shard-000002.txt: missing.* Fix: restore shards/ from a copy"):
            read_shards(library.root)

    def test_a_plate_in_two_shards_is_named(self, library, folder):
        (folder / "shard-000003.txt").write_text("a\n")
        with pytest.raises(DatasetBroken, match=r"shard-000003.txt: a is named here, and in shard-000001.txt"):
            read_shards(library.root)

    def test_a_cut_file_is_named(self, library, folder):
        (folder / "shard-000003.txt").write_text("plate-0")
        with pytest.raises(DatasetBroken, match=r"shard-000003.txt: expected a line for each plate"):
            read_shards(library.root)

    def test_a_deleted_record_is_made_anew(self, library, folder):
        for path in folder.iterdir():
            path.unlink()
        assert record_plates(library, ["e", "a"], 2).plates == {"shard-000001": ("e", "a")}
