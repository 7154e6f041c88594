"""A ledger makes the rows of plates whose signatures differ, and of no others."""

import subprocess
from pathlib import Path

import polars as pl
import pytest

from atlas_resources.files import durable
from atlas_resources.files.stated_digests import stated_digest_path, stated_digest_problem
from atlas_resources.ledgers.growth import growing as module
from atlas_resources.ledgers.growth import parts as parts_module
from atlas_resources.ledgers.growth.growing import grow, read_made_of, read_rows_of
from atlas_resources.ledgers.growth.made_of import NOTHING, MadeOf, combined
from atlas_resources.ledgers.parquet import ledger_path, read_ledger, write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.table import PLATE_ID, Column, Table

TABLE = Table("tiny", "A row for each plate.", (PLATE_ID, Column("value", pl.String, "Any.")), ("plate_id", "value"))


class Growing:
    """A ledger of which the value of a plate is its signature when its row was made."""

    def __init__(self, folder: Path):
        self.dataset = Dataset(folder)
        self.path = ledger_path(self.dataset, TABLE)
        self.made: list[str] = []
        self.unsettled: set[str] = set()

    def grow(self, context: str = "same", common: pl.DataFrame | None = None, **signatures: str) -> dict:
        self.made.clear()

        def make(plate_ids: list[str], old: pl.DataFrame) -> tuple[pl.DataFrame, set[str]]:
            self.made += plate_ids
            rows = [{"plate_id": one, "value": f"{signatures[one]} in {context}"} for one in plate_ids]
            return TABLE.frame(rows), self.unsettled & set(plate_ids)

        rows = grow(self.dataset, TABLE, MadeOf(context, signatures), make, common=common).collect()
        assert rows.equals(read_ledger(self.dataset, TABLE))
        return dict(rows.iter_rows())


@pytest.fixture
def growing(tmp_path) -> Growing:
    found = Growing(tmp_path)
    assert found.grow(a="1", b="1") == {"a": "1 in same", "b": "1 in same"}
    assert found.made == ["a", "b"]
    return found


def test_only_a_plate_that_changed_is_made(growing):
    assert growing.grow(a="1", b="2", c="1") == {"a": "1 in same", "b": "2 in same", "c": "1 in same"}
    assert growing.made == ["b", "c"]


def test_a_plate_that_is_gone_takes_its_rows_along(growing):
    assert growing.grow(b="1") == {"b": "1 in same"}
    assert growing.made == []


def test_without_a_change_no_file_is_written(growing):
    before = growing.path.stat().st_mtime_ns, growing.path.stat().st_ino
    growing.grow(a="1", b="1")
    assert (growing.path.stat().st_mtime_ns, growing.path.stat().st_ino) == before


def test_another_context_makes_all(growing):
    assert growing.grow("other", a="1", b="1") == {"a": "1 in other", "b": "1 in other"}


def test_what_does_not_follow_from_its_signature_is_made_each_time(growing):
    growing.unsettled = {"b"}
    growing.grow(a="1", b="2")
    growing.unsettled = set()
    growing.grow(a="1", b="2")
    assert growing.made == ["b"]
    growing.grow(a="1", b="2")
    assert growing.made == []


def altered(growing: Growing) -> None:
    growing.path.write_bytes(growing.path.read_bytes()[:-1] + b"\0")


def killed_before_its_digest_was_stated(growing: Growing) -> None:
    digest = stated_digest_path(growing.path)
    before = digest.read_bytes()
    growing.grow(a="3", b="3")
    digest.write_bytes(before)


def of_an_earlier_release(growing: Growing) -> None:
    write_ledger(growing.dataset, TABLE, TABLE.frame([{"plate_id": "a", "value": "older"}]))


def missing(growing: Growing) -> None:
    growing.path.unlink()


@pytest.mark.parametrize("spoil", [altered, killed_before_its_digest_was_stated, of_an_earlier_release, missing])
def test_a_file_that_is_not_as_it_was_built_is_made_anew(growing, spoil):
    spoil(growing)
    assert read_made_of(growing.dataset, growing.path, TABLE) is NOTHING
    assert growing.grow(a="1", b="1") == {"a": "1 in same", "b": "1 in same"}
    assert growing.made == ["a", "b"]


def test_rows_of_no_plate_are_replaced_with_any_other(growing):
    common = pl.DataFrame([{"plate_id": None, "value": "of all"}], schema=TABLE.schema)
    assert growing.grow("new", common, a="1", b="1")[None] == "of all"
    rows = growing.grow("new", common, a="1")
    assert rows == {None: "of all", "a": "1 in new"}


def test_what_follows_from_several_ledgers_changes_with_each():
    first, second = MadeOf("c", {"a": "1", "b": "1"}), MadeOf("c", {"a": "1"})
    both = combined([first, second])
    assert both.signatures.keys() == {"a", "b"}
    changed = combined([first, MadeOf("c", {"a": "2"})])
    assert changed.signatures["a"] != both.signatures["a"]
    assert changed.signatures["b"] == both.signatures["b"]
    assert combined([first, MadeOf("c", {"a": ""})]).signatures["a"] == "", "it is made each time"
    assert combined([first, NOTHING]) is NOTHING
    assert combined([first, second], "a fact").context != both.context


@pytest.fixture
def parted(growing, monkeypatch) -> Growing:
    """A ledger of two plates a part, which has two parts."""
    monkeypatch.setattr(module, "PLATES_PER_PART", 2)
    growing.grow(a="1", b="1", c="1")
    assert names(growing) == ["part-00000.parquet", "part-00001.parquet"]
    return growing


def names(growing: Growing) -> list[str]:
    return sorted(path.name for path in growing.path.iterdir())


def inodes(growing: Growing) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in growing.path.iterdir()}


class TestParts:
    def test_a_file_becomes_the_first_part_once_it_is_full(self, growing, monkeypatch):
        monkeypatch.setattr(module, "PLATES_PER_PART", 2)
        before = growing.path.read_bytes()
        assert growing.grow(a="1", b="1", c="1") == {one: "1 in same" for one in "abc"}
        assert growing.made == ["c"]
        assert (growing.path / "part-00000.parquet").read_bytes() == before

    def test_a_new_plate_writes_the_last_part_alone(self, parted):
        before = inodes(parted)
        assert parted.grow(a="1", b="1", c="1", d="1")["d"] == "1 in same"
        after = inodes(parted)
        assert before["part-00000.parquet"] == after["part-00000.parquet"]
        assert before["part-00001.parquet"] != after["part-00001.parquet"]

    def test_a_plate_stays_in_its_part(self, parted):
        parted.grow(b="2", c="1", d="1", e="1")
        parts = {path.name: pl.read_parquet(path)["plate_id"].to_list() for path in sorted(parted.path.iterdir())}
        assert parts == {
            "part-00000.parquet": ["b"],
            "part-00001.parquet": ["c", "d"],
            "part-00002.parquet": ["e"],
        }

    def test_a_part_without_plates_goes_and_a_ledger_without_plates_is_a_file(self, parted):
        parted.grow(a="1", b="1")
        assert names(parted) == ["part-00000.parquet"]
        assert parted.grow() == {}
        assert parted.path.is_file()

    def test_rows_of_all_parts_are_in_the_order_of_the_table(self, parted):
        rows = parted.grow(c="1", b="1", z="1", a="1")
        assert list(rows) == ["a", "b", "c", "z"]
        assert read_ledger(parted.dataset, TABLE, ("value",)).to_series().to_list() == list(rows.values())

    def test_of_a_damaged_part_only_its_plates_are_made_again(self, parted):
        (parted.path / "part-00001.parquet").write_bytes(b"damaged")
        held = read_made_of(parted.dataset, parted.path, TABLE)
        assert held.signatures == {"a": "1", "b": "1"}
        assert read_rows_of(parted.dataset, parted.path, TABLE, ["a", "c"]).rows() == [("a", "1 in same")]
        assert parted.grow(a="1", b="1", c="1") == {one: "1 in same" for one in "abc"}
        assert parted.made == ["c"]

    def test_without_the_first_part_the_rows_of_no_plate_are_made_again(self, parted):
        common = pl.DataFrame([{"plate_id": None, "value": "of all"}], schema=TABLE.schema)
        parted.grow("new", common, a="1", b="1", c="1")
        (parted.path / "part-00000.parquet").unlink()
        rows = parted.grow("new", common, a="1", b="1", c="1")
        assert rows == {"a": "1 in new", "b": "1 in new", "c": "1 in new", None: "of all"}
        assert parted.made == ["a", "b"]

    def test_a_part_that_somebody_added_is_removed(self, parted):
        (parted.path / "part-00007.parquet").write_bytes((parted.path / "part-00000.parquet").read_bytes())
        assert parted.grow(a="1", b="1", c="1") == {one: "1 in same" for one in "abc"}
        assert names(parted) == ["part-00000.parquet", "part-00001.parquet"]

    def test_another_context_replaces_all_parts_at_once(self, parted, monkeypatch):
        seen = []
        own = parts_module.take_the_place

        def take_the_place(new: Path, path: Path) -> None:
            seen.append(sorted(one.name for one in new.iterdir()))
            own(new, path)

        monkeypatch.setattr(parts_module, "take_the_place", take_the_place)
        assert parted.grow("other", a="1", b="1", c="1")["c"] == "1 in other"
        assert seen == [["part-00000.parquet", "part-00001.parquet"]]
        assert sorted(path.name for path in parted.path.parent.iterdir()) == ["tiny.parquet", "tiny.parquet.sha256"]

    def test_without_plates_that_need_parts_a_file_takes_the_place_of_the_folder(self, parted):
        parted.grow("other", a="1")
        assert parted.path.is_file()
        assert stated_digest_problem(parted.path) is None

    def test_the_digests_of_all_parts_are_stated(self, parted):
        assert stated_digest_problem(parted.path) is None
        stated = stated_digest_path(parted.path).read_text()
        checked = subprocess.run(["sha256sum", "-c"], input=stated, cwd=parted.path.parent, text=True, check=True)
        assert checked.returncode == 0
        (parted.path / "part-00001.parquet").unlink()
        assert "has other parts" in (stated_digest_problem(parted.path) or "")

    def test_where_names_cannot_be_exchanged_the_folder_is_moved(self, parted, monkeypatch):
        monkeypatch.setattr(durable, "_exchange", lambda first, second: False)
        assert parted.grow("other", a="1", b="1", c="1")["c"] == "1 in other"
        assert sorted(path.name for path in parted.path.parent.iterdir()) == ["tiny.parquet", "tiny.parquet.sha256"]
