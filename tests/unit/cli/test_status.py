"""`atlas status`: the state of each plate with each asset, the reasons, and the exit code."""

import json
import re
from dataclasses import replace

import pytest
from rich.console import Console
from support import fake_instruments
from support.fake_instruments import EMBEDDER, READER, SEGMENTER, fake_registry, fake_spec, reader_spec
from support.made_datasets import make_dataset
from support.made_results import TWO_SEGMENTS, GivenVectors, measure, measure_groundwork
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_assets.cli.state.matrix import MOST_PLATES, SIGNS, count_table, state_table
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.completeness.states import STATES, AssetStates, PlateState
from atlas_resources.plates.dataset import Dataset


@pytest.fixture
def registry(monkeypatch) -> Registry:
    """Three instruments; the segmenter is not active."""
    fake_instruments.install(monkeypatch)
    every = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER), reader_spec())
    return replace(every, active=frozenset({EMBEDDER, READER}))


@pytest.fixture
def home(tmp_path, monkeypatch, registry) -> Dataset:
    """Three plates with groundwork: one is done by the embedder, one failed, one was not tried."""
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.setattr(cli.console, "_width", 200)
    monkeypatch.setattr("atlas_resources.instruments.registry.read_registry", lambda: registry)
    dataset = make_dataset(tmp_path, "red", "green", "blue")
    measure_groundwork(dataset)
    vectors = GivenVectors({"plate-001": (1.0, 0.0, 0.0)})
    measure(dataset, registry, EMBEDDER, vectors, ["plate-001", "plate-002"])
    return dataset


def status(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.app, ["status", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def row_of(output: str, name: str) -> list[str]:
    """The cells after the first one of the line that begins with a name."""
    (line,) = [line for line in output.splitlines() if re.match(rf"\s*(\d+\s+)?{re.escape(name)}\s+[\d+x!~.w]", line)]
    return line.partition(name)[2].split()


def test_it_counts_each_assets_states_and_shows_a_sign_for_each_plate(home):
    output = status().output
    assert "done +   failed x   missing .   waiting w" in output
    assert row_of(output, "plate/input_image") == ["3", "0", "0", "0"]
    assert row_of(output, f"embeddings/{EMBEDDER}") == ["1", "1", "1", "0"]
    assert row_of(output, f"probes/{READER}") == ["0", "0", "1", "2"]
    assert row_of(output, "plate-001") == ["+", "+", "."]
    assert row_of(output, "plate-002") == ["+", "x", "w"]
    assert row_of(output, "plate-003") == ["+", ".", "w"]


def test_it_names_the_reasons_and_the_exit_code_is_1_for_a_failed_plate(home):
    result = status()
    assert result.exit_code == 1
    assert f"plate-002 failed once in embeddings/{EMBEDDER}: 'plate-002'" in result.output
    assert f"probes/{READER}: 2 waiting: embeddings/{EMBEDDER} is not done" in result.output


def test_a_plate_that_failed_as_often_as_the_settings_allow_is_given_up(home, registry):
    for _ in range(2):
        measure(home, registry, EMBEDDER, GivenVectors({}), ["plate-002"])
    assert f"plate-002 failed 3 times and is given up in embeddings/{EMBEDDER}: " in status().output
    assert row_of(status().output, "plate-002") == ["+", "!", "w"]


def test_missing_and_stale_plates_leave_the_exit_code_0(home, registry, monkeypatch):
    measure(home, registry, EMBEDDER, GivenVectors({"plate-002": (0.0, 1.0, 0.0)}), ["plate-002"])
    assert status().exit_code == 0
    changed = fake_registry(fake_spec(EMBEDDER, gain=2.0))
    monkeypatch.setattr("atlas_resources.instruments.registry.read_registry", lambda: changed)
    result = status()
    assert result.exit_code == 0
    assert f"embeddings/{EMBEDDER}: 2 stale: parameters.gain null -> 2.0" in result.output


def test_only_active_instruments_are_shown_unless_all_are_asked_for(home, registry):
    assert SEGMENTER not in status().output
    assert row_of(status("--all").output, f"segments/{SEGMENTER}") == ["0", "0", "3", "0"]
    measure(home, registry, SEGMENTER, TWO_SEGMENTS)
    assert row_of(status("--all").output, f"segments/{SEGMENTER}") == ["3", "0", "0", "0"]


def test_json_has_the_counts_and_a_row_for_each_plate_and_asset(home):
    result = status("--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["plate_count"], found["is_well"], found["dataset"]) == (3, False, str(home.root))
    assert [asset["instrument"] for asset in found["assets"]] == ["groundwork", EMBEDDER, READER]
    counts = {state: found["assets"][1][state] for state in STATES}
    assert counts == dict.fromkeys(STATES, 0) | {"done": 1, "failed": 1, "missing": 1}
    (row,) = [row for row in found["plates"] if (row["plate_id"], row["instrument"]) == ("plate-002", EMBEDDER)]
    assert (row["state"], row["attempts"], row["reason"]) == ("failed", 1, "'plate-002'")
    assert found["ledgers_behind"].startswith("not built yet: ")


class TestManyPlates:
    """With more plates than fit on a screen, only those that are not done are listed."""

    @staticmethod
    def shown(*states: str) -> list[str]:
        plates = tuple(PlateState(f"plate-{number:03d}", state) for number, state in enumerate(states))  # type: ignore[arg-type] # names of states
        table = state_table([AssetStates(None, plates)])
        if table is None:
            return []
        console = Console(width=100, record=True)
        console.print(table)
        return console.export_text().splitlines()

    def test_all_of_a_few_plates_are_listed(self):
        lines = self.shown(*["done"] * MOST_PLATES)
        assert sum("plate-0" in line for line in lines) == MOST_PLATES

    def test_of_many_only_those_that_are_not_done_are_listed(self):
        lines = self.shown(*["done"] * 100, "failed", "stale")
        assert lines[0].strip() == "2 of 102 plates are not done everywhere"
        assert [line.split() for line in lines if "plate-1" in line] == [["plate-100", "x"], ["plate-101", "~"]]

    def test_of_too_many_the_rest_is_counted(self):
        lines = self.shown(*["missing"] * 100)
        assert sum("plate-0" in line for line in lines) == MOST_PLATES
        assert lines[-1].strip() == "and 60 more"

    def test_nothing_is_listed_if_all_are_done(self):
        assert self.shown(*["done"] * 100) == []

    def test_every_state_has_a_sign_of_its_own(self):
        assert SIGNS.keys() == STATES.keys()
        assert len({sign for sign, _ in SIGNS.values()}) == len(STATES)

    def test_a_name_that_looks_like_markup_is_shown_as_it_is(self):
        table = count_table([AssetStates(None, ())], "[red]5 plates[/red]")
        console = Console(width=100, record=True)
        console.print(table)
        assert "[red]5 plates[/red]" in console.export_text()
