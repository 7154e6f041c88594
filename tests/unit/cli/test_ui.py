"""`atlas ui` starts Dagster on loopback, on the given port, with the dataset in ATLAS_HOME."""

import subprocess

import pytest
from typer.testing import CliRunner

from atlas_assets.cli.app import app


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Commands, environments and working directories of the processes that would be started; none is."""
    started = []

    def note(command, *, env, cwd, **options):
        started.append((command, env, cwd))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", note)
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    return started


def test_its_host_is_loopback_and_its_port_the_given_one(started, tmp_path):
    result = CliRunner().invoke(app, ["ui", "--port", "3999"])
    assert result.exit_code == 0, result.output
    ((command, env, _),) = started
    assert command[command.index("-h") + 1] == "127.0.0.1"
    assert command[command.index("-p") + 1] == "3999"
    assert env["ATLAS_HOME"] == str(tmp_path / "atlas")


def test_it_runs_in_the_folder_of_its_settings(started, tmp_path):
    """Elsewhere, as in a checkout or a project, Dagster would warn of a dagster.yaml that it does not use."""
    assert CliRunner().invoke(app, ["ui"]).exit_code == 0
    assert started[0][2] == str(tmp_path / "dagster")
    assert (tmp_path / "dagster" / "dagster.yaml").is_file()


def test_no_option_opens_it_to_other_machines():
    assert CliRunner().invoke(app, ["ui", "--host", "0.0.0.0"]).exit_code == 2  # noqa: S104 - it is refused
