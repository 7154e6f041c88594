"""`tests/slow_tests.txt` names tests that exist, and leaves out those alone."""

import ast
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.slow_tests import ROOT, leave_out, read_listed


def names_in(path: str) -> set[str]:
    """The functions and classes of a test file, as pytest names them."""
    found = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("name", read_listed())
def test_every_listed_test_exists(name):
    path, _, function = name.partition("[")[0].partition("::")
    assert (ROOT / path).is_file()
    assert not function or function in names_in(path)


def test_no_listed_test_is_in_a_listed_file():
    listed = read_listed()
    assert [name for name in listed if "::" in name and name.partition("::")[0] in listed] == []


@dataclass
class Item:
    """What of a test of pytest is read and marked."""

    nodeid: str
    markers: list[Any] = field(default_factory=list)

    def add_marker(self, marker: Any) -> None:
        self.markers.append(marker)


@pytest.mark.parametrize(
    ("name", "is_left_out"),
    [
        ("tests/a.py::test_one[x]", True),
        ("tests/a.py::test_two", False),
        ("tests/b.py::TestB::test_one", True),
        ("tests/ab.py::test_one", False),
        ("tests/c.py::test_one[x]", True),
        ("tests/c.py::test_one[y]", False),
    ],
)
def test_a_listed_file_a_listed_test_and_listed_parameters_are_left_out(name, is_left_out):
    item = Item(name)
    listed = ["tests/a.py::test_one", "tests/b.py", "tests/c.py::test_one[x]"]
    leave_out([item], listed)  # type: ignore[list-item] # it has the attributes that are read
    assert bool(item.markers) == is_left_out
