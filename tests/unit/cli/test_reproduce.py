"""`atlas reproduce`: what it prints, its exit codes, and errors that name what is there."""

import json
from dataclasses import replace

import polars as pl
import pytest
from support import fake_instruments
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import make_dataset
from support.made_reproductions import edit_config, edit_rows, result_path, run_of
from support.made_results import reseal, run_instrument
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.plates.records.reproduction import Reproduction


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Three plates, the last of which fails, measured by the fake embedder."""
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.setattr(cli.console, "_width", 300)
    fake_instruments.install(monkeypatch)
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    monkeypatch.setattr("atlas_resources.instruments.registry.read_registry", lambda: registry)
    dataset = make_dataset(tmp_path, "red", "green", "magenta")
    run_instrument(dataset, registry, EMBEDDER)
    return dataset


def atlas(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_each_plate_is_named_and_what_comes_out_again_is_no_error(home):
    run_id = run_of(home, EMBEDDER)
    result = atlas("reproduce", run_id)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:2] == ["plate-001  identical", "plate-002  identical"]
    assert lines[2] == "failed in this run, so there is no result to compare: plate-003"
    assert lines[3] == f"{run_id} ({EMBEDDER}): 2 identical, 0 within tolerance, 0 different, 0 not repeatable"
    assert lines[4] == "changed since it was sealed: nothing that the run recorded of packages, device and code"
    assert (home.root / lines[5].removeprefix("written: ")).is_file()


def test_a_different_plate_gives_exit_code_1_with_the_difference(home):
    run_id = run_of(home, EMBEDDER)
    path = result_path(home, "plate-002", run_id)
    edit_rows(path, vector=pl.col("vector").list.eval(pl.element() * 2))
    reseal(path)
    result = atlas("reproduce", run_id)
    assert result.exit_code == 1
    assert "plate-002  different  vector: relative difference 0.5 in plate, at most 0.0001" in result.stdout
    assert atlas("reproduce", run_id, "plate-001").exit_code == 0


def test_a_run_that_this_code_cannot_repeat_gives_exit_code_2_with_the_reason(home, monkeypatch):
    monkeypatch.setitem(LOADERS, "fake", replace(LOADERS["fake"], version=2))
    result = atlas("reproduce", run_of(home, EMBEDDER))
    assert result.exit_code == 2
    assert "plate-001  not repeatable  this code gives the instrument another fingerprint: version of" in result.stdout


def test_json_is_what_is_written_and_nothing_else(home):
    result = atlas("reproduce", run_of(home, EMBEDDER), "plate-002", "--json")
    assert result.exit_code == 0
    (content,) = json.loads(result.stdout)
    reproduction = Reproduction.model_validate(content)
    assert [(plate.plate_id, plate.verdict) for plate in reproduction.plates] == [("plate-002", "identical")]


def test_a_sample_needs_no_run(home):
    result = atlas("reproduce", "--sample", 1)
    assert result.exit_code == 0
    assert "1 identical" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("run-20270301-020000Z-00000000", "--sample", "2")])
def test_a_run_or_a_sample_is_asked_for(home, arguments):
    result = atlas("reproduce", *arguments)
    assert result.exit_code == 1
    assert "Give the id of a RUN, or --sample N: exactly one of the two." in result.stderr


def test_an_unknown_run_or_plate_is_named_with_what_is_there(home):
    run_id = run_of(home, EMBEDDER)
    unknown = atlas("reproduce", "run-20270301-020000Z-00000000")
    assert (unknown.exit_code, run_id in unknown.stderr) == (2, True)
    foreign = atlas("reproduce", run_id, "[red]")
    assert foreign.exit_code == 2
    assert f"{run_id} has sealed nothing of [red]. It has 3 plates: plate-001, plate-002" in foreign.stderr


def test_text_of_a_broken_configuration_is_shown_as_it_is(home):
    edit_config(home, run_of(home, EMBEDDER), "srgb8-v2", "[/red]")
    result = atlas("reproduce", run_of(home, EMBEDDER))
    assert result.exit_code == 2
    assert "'[/red]'" in result.stdout


class TestPullOfARun:
    def test_an_algorithm_has_nothing_to_fetch(self, home):
        result = atlas("models", "pull", "--run", run_of(home, EMBEDDER), "--dry-run")
        assert result.exit_code == 0
        assert f"{EMBEDDER}: " in result.stdout

    def test_an_unknown_run_is_an_error(self, home):
        result = atlas("models", "pull", "--run", "run-20270301-020000Z-00000000", "--dry-run")
        assert result.exit_code == 1
        assert "its configuration cannot be read" in result.stderr
