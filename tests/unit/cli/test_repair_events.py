"""`atlas repair-events` with the Dagster instance that a dataset has on disk."""

import shutil

import dagster as dg
import pytest
from support import fake_instruments
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec
from support.made_datasets import make_dataset
from support.made_results import run_instrument
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_resources.plates.dataset import Dataset

SEGMENTS = dg.AssetKey(["segments", SEGMENTER])
AGREE = "Dagster's events agree with the disk"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Dataset:
    """Two plates with segments, whose events are recorded in `.dagster`."""
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setattr(cli.console, "_width", 200)
    fake_instruments.install(monkeypatch)
    registry = fake_registry(fake_spec(SEGMENTER))
    monkeypatch.setattr("atlas_resources.instruments.registry.read_registry", lambda: registry)
    dataset = make_dataset(tmp_path, "red", "green")
    run_instrument(dataset, registry, SEGMENTER)
    assert repair(monkeypatch, dataset).exit_code == 0
    return dataset


def repair(monkeypatch: pytest.MonkeyPatch, dataset: Dataset, *arguments: str) -> Result:
    """Calls the command in a new session: the instance is that of the dataset."""
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    monkeypatch.setenv("DAGSTER_HOME", "")
    result = CliRunner().invoke(cli.app, ["repair-events", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def materialized(dataset: Dataset) -> set[str]:
    with dg.DagsterInstance.from_config(str(dataset.root / ".dagster")) as instance:
        return instance.get_materialized_partitions(SEGMENTS)


def test_a_deleted_history_is_recorded_again(home, monkeypatch):
    shutil.rmtree(home.root / ".dagster")
    planned = repair(monkeypatch, home, "--dry-run").output
    assert f"would have reported for segments/{SEGMENTER}: 2 (plate-001, plate-002)" in planned
    assert materialized(home) == set()
    assert f"reported for segments/{SEGMENTER}: 2 (plate-001, plate-002)" in repair(monkeypatch, home).output
    assert materialized(home) == {"plate-001", "plate-002"}
    assert AGREE in repair(monkeypatch, home).output


def test_a_copy_on_another_machine_has_the_same_events(home, monkeypatch, tmp_path):
    shutil.copytree(home.root, tmp_path / "copy", ignore=shutil.ignore_patterns(".dagster"))
    copied = Dataset(tmp_path / "copy")
    repair(monkeypatch, copied)
    assert materialized(copied) == {"plate-001", "plate-002"}
    shutil.copytree(home.root, tmp_path / "whole")
    assert AGREE in repair(monkeypatch, Dataset(tmp_path / "whole")).output


def test_a_deleted_plate_and_a_deleted_run_folder_are_named(home, monkeypatch):
    shutil.rmtree(home.plate("plate-001").folder)
    shutil.rmtree(home.plate("plate-002").runs_folder)
    output = repair(monkeypatch, home).output
    assert "removed the partitions of plates that are not registered: 1 (plate-001)" in output
    assert f"marked as failed, since it is not on disk, for segments/{SEGMENTER}: 1 (plate-002)" in output
    assert f"To make them: atlas run 'key:\"segments/{SEGMENTER}\"' --missing" in output
    assert AGREE in repair(monkeypatch, home).output


def test_without_any_plate_it_refuses_and_the_exit_code_is_1(home, monkeypatch):
    shutil.rmtree(home.plates_dir)
    result = repair(monkeypatch, home)
    assert result.exit_code == 1
    assert "no plate is registered, and Dagster knows 2, such as plate-001. Fix: set ATLAS_HOME" in result.stderr
