"""What is remembered of files holds until one of them changes, and never longer."""

import os
import sqlite3
from pathlib import Path

import pytest

from atlas_resources.plates.index import memory as module
from atlas_resources.plates.index.memory import NAME, Memory

LONG_AGO_NS = -(10**12)


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """As if every file had been written a while ago."""
    monkeypatch.setattr(module, "settled_ns", lambda device: LONG_AGO_NS)


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    return tmp_path


class Reader:
    """Looks up the contents of files, each time with a new memory, as another process does."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.read: list[str] = []

    def look_up(self, *names: str, memory: Memory | None = None) -> dict[str, str]:
        self.read.clear()
        files = {name: [str(self.folder / name)] for name in names or ("a", "b")}
        return (memory or Memory(self.folder)).look_up("content", files, self._content)

    def _content(self, name: str) -> str:
        self.read.append(name)
        return (self.folder / name).read_text()


@pytest.fixture
def reader(folder) -> Reader:
    found = Reader(folder)
    assert found.look_up() == {"a": "a", "b": "b"}
    assert found.read == ["a", "b"]
    return found


def test_another_process_reads_nothing_again(reader):
    assert reader.look_up() == {"a": "a", "b": "b"}
    assert reader.read == []


def test_a_file_that_changed_is_read_again_even_with_an_older_time(reader, folder):
    (folder / "a").write_text("new")
    os.utime(folder / "a", (0, 0))
    assert reader.look_up() == {"a": "new", "b": "b"}
    assert reader.read == ["a"]


def test_a_file_that_changed_just_now_is_read_again(folder, monkeypatch):
    """A second change within the tick of the file system's clock would leave no trace."""
    monkeypatch.setattr(module, "settled_ns", lambda device: 10**15)
    reader, memory = Reader(folder), Memory(folder)
    reader.look_up(memory=memory)
    reader.look_up(memory=memory)
    assert reader.read == ["a", "b"]


def test_what_is_gone_is_forgotten(reader, folder):
    assert reader.look_up("b") == {"b": "b"}
    with sqlite3.connect(folder / NAME) as connection:
        assert connection.execute("SELECT subject FROM known").fetchall() == [("b",)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database"),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(4096)),
        lambda path: path.unlink(),
    ],
    ids=["another file", "pages of zeros", "missing"],
)
def test_a_damaged_memory_costs_reading_again_and_is_made_anew(reader, folder, damage):
    damage(folder / NAME)
    assert reader.look_up() == {"a": "a", "b": "b"}
    assert reader.read == ["a", "b"]
    reader.look_up()
    assert reader.read == []


def test_a_value_that_was_altered_in_the_memory_does_not_count(reader, folder):
    with sqlite3.connect(folder / NAME) as connection:
        connection.execute("UPDATE known SET value = '\"forged\"' WHERE subject = 'a'")
    assert reader.look_up() == {"a": "a", "b": "b"}
    assert reader.read == ["a"]


def test_a_memory_that_another_process_holds_is_not_written_and_nothing_fails(reader, folder, monkeypatch):
    monkeypatch.setattr(module, "BUSY_SECONDS", 0)
    holder = sqlite3.connect(folder / NAME, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    (folder / "a").write_text("new")
    assert reader.look_up() == {"a": "new", "b": "b"}
    holder.close()
    assert reader.look_up() == {"a": "new", "b": "b"}
    assert "a" in reader.read
