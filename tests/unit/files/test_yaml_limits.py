"""Hostile YAML costs its own file, in a second at most: limits of bytes, nodes and depth, and no aliases."""

import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas_resources.files.contract import Contract
from atlas_resources.files.yaml_files import MAX_BYTES, MAX_DEPTH, MAX_NODES, FileProblem, read_folder, read_yaml

pytestmark = pytest.mark.timeout(30)
MOST_SECONDS = 5  # each takes a fraction of one; without the limits, minutes or for ever


class Named(Contract):
    """A name, and values of any kind under `rest`."""

    name: str
    rest: object = None


LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
ALIASES_OF_ONE_TEXT = "name: &a x\nrest: [" + ", ".join(["*a"] * 5000) + "]\n"
HOSTILE = {
    "a billion laughs": (LAUGHS, "the alias *a0 at line 2"),
    "aliases of one text": (ALIASES_OF_ONE_TEXT, "the alias *a at line 2"),
    "a list that contains itself": ("name: x\nrest: &a [*a]\n", "the alias *a at line 2"),
    "anchors of one text": ("rest:\n" + "".join(f"- &a{n} x\n" for n in range(11_000)), "more than 10,000 keys"),
    "many keys": ("".join(f"k{n}: 1\n" for n in range(15_000)), "more than 10,000 keys and values at line 5000"),
    "deep lists": ("rest: " + "[" * 2000 + "]" * 2000, "more than 32 levels of nesting at line 1"),
    "deep lists without an end": ("rest: " + "[" * 200_000, "more than 32 levels of nesting at line 1"),
    "deep keys": ("? " * 2000, "more than 32 levels of nesting at line 1"),
    "deep blocks": ("".join(" " * n + "k:\n" for n in range(500)), "more than 32 levels of nesting at line 33"),
    "a large file": ("name: " + "x" * MAX_BYTES, "262,150 bytes"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_yaml_is_a_problem_within_seconds(case: str, tmp_path: Path):
    text, found = HOSTILE[case]
    path = tmp_path / "hostile.yaml"
    path.write_text(text, encoding="utf-8")
    started = time.monotonic()
    (problem,) = problems_of(path)
    assert time.monotonic() - started < MOST_SECONDS
    assert problem.field == "(file)"
    assert problem.found.startswith(found)
    assert problem.expected


def problems_of(path: Path) -> list[FileProblem]:
    read = read_yaml(path, Named)
    assert isinstance(read, list), "it was read"
    return read


def test_a_pipe_costs_itself_and_not_its_folder(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    (tmp_path / "heron.yaml").write_text("name: Heron\n")
    records, problems = read_folder(tmp_path, Named)
    assert records == {"heron": Named(name="Heron")}
    assert {stem: str(problem) for stem, (problem,) in problems.items()} == {
        "endless": "endless.yaml: (file): found a character device, expected a regular file",
        "pipe": "pipe.yaml: (file): found a named pipe, expected a regular file",
    }


def test_values_of_a_mapping_merged_by_an_alias_are_refused(tmp_path: Path):
    path = tmp_path / "merged.yaml"
    path.write_text("rest: &a {name: x}\n<<: *a\n")
    (problem,) = problems_of(path)
    assert str(problem) == (
        "merged.yaml: (file): found the alias *a at line 2, expected no alias: write the value out again"
    )


def nested(depth: int) -> object:
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(depth=st.integers(0, 2 * MAX_DEPTH))
def test_what_is_within_the_depth_is_read_and_nothing_beyond(depth: int, tmp_path: Path):
    path = tmp_path / "deep.yaml"
    path.write_text(yaml.safe_dump({"name": "x", "rest": nested(depth)}))
    read = read_yaml(path, Named)
    if depth + 1 <= MAX_DEPTH:  # the mapping itself is a level
        assert read == Named(name="x", rest=nested(depth))
    else:
        assert isinstance(read, list)
        assert read[0].expected == f"at most {MAX_DEPTH}"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(surplus=st.integers(-3, 3))
def test_what_is_within_the_number_of_nodes_is_read_and_nothing_beyond(surplus: int, tmp_path: Path):
    """A mapping with name, its value, rest and the list are five nodes, besides the list's numbers."""
    path = tmp_path / "wide.yaml"
    path.write_text(f"name: x\nrest: [{', '.join(['1'] * (MAX_NODES - 5 + surplus))}]\n")
    assert isinstance(read_yaml(path, Named), Named) == (surplus <= 0)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="ab: []{}-&*!?|>%'\"\n#,0x_1.e<~", max_size=80))
def test_no_text_makes_reading_raise(text: str, tmp_path: Path):
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    read = read_yaml(path, Named)
    assert isinstance(read, Named) or all(problem.found and problem.expected for problem in read)
