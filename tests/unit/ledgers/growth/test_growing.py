"""A ledger makes the rows of plates whose signatures differ, and of no others."""

from pathlib import Path

import polars as pl
import pytest

from atlas_resources.files.stated_digests import stated_digest_path
from atlas_resources.ledgers.growth.growing import NOTHING, MadeOf, combined, grow, read_made_of
from atlas_resources.ledgers.parquet import ledger_path, write_ledger
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

        rows = grow(self.dataset, TABLE, MadeOf(context, signatures), make, common=common)
        assert rows.equals(pl.read_parquet(self.path))
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
    assert read_made_of(growing.path, TABLE) is NOTHING
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
