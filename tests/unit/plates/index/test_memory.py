"""What is remembered of files holds until one of them changes, and never longer."""

import json
import os
import sqlite3
from pathlib import Path

import pytest

from atlas_resources.plates.index import memory as module
from atlas_resources.plates.index.memory import NAME, Memory, memory_of, once, one_look

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
        found = (memory or Memory(self.folder)).look_up(
            "content", names or ("a", "b"), lambda name, known: [str(self.folder / name)], self._content
        )
        return found.values

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
        contents = [json.loads(content) for (content,) in connection.execute("SELECT content FROM blocks")]
    assert [name for one in contents for name in one] == ["b"]


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
        connection.execute("UPDATE blocks SET content = replace(content, '\"a\"]', '\"forged\"]')")
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


def test_within_one_look_nothing_is_asked_twice_and_what_was_learnt_is_kept_at_its_end(folder):
    reader, memory = Reader(folder), memory_of(folder)
    with one_look(folder):
        assert [once(folder, "a question", lambda: reader.look_up(memory=memory)) for _ in range(2)] == [
            {"a": "a", "b": "b"}
        ] * 2
        assert not (folder / NAME).exists()
        (folder / "a").write_text("new")
        with one_look(folder):
            assert once(folder, "a question", dict) == {"a": "a", "b": "b"}
    assert (folder / NAME).exists()
    assert once(folder, "a question", lambda: reader.look_up(memory=memory)) == {"a": "new", "b": "b"}


def test_the_look_of_a_run_goes_on_in_its_next_step(folder):
    with one_look(folder, of_run="one"):
        once(folder, "a question", lambda: "first")
    with one_look(folder, of_run="one"):
        assert once(folder, "a question", lambda: "second") == "first"
    with one_look(folder, of_run="two"):
        assert once(folder, "a question", lambda: "second") == "second"


def test_what_a_value_follows_from_is_compared_too(reader, folder):
    memory = Memory(folder)
    reader.read.clear()
    for basis in ("x", "x", "y"):
        memory.look_up(
            "content", ("a",), lambda name, known: [str(folder / name)], reader._content, follows={"a": basis}
        )
    assert reader.read == ["a", "a"]
