"""`atlas ui` starts Dagster on loopback, on the given port, with the dataset in ATLAS_HOME."""

import subprocess

import pytest
from typer.testing import CliRunner

from atlas_assets.cli.app import app


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Commands and environments of the processes that would be started; none is."""
    started = []

    def note(command, *, env, **options):
        started.append((command, env))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", note)
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    return started


def test_its_host_is_loopback_and_its_port_the_given_one(started, tmp_path):
    result = CliRunner().invoke(app, ["ui", "--port", "3999"])
    assert result.exit_code == 0, result.output
    ((command, env),) = started
    assert command[command.index("-h") + 1] == "127.0.0.1"
    assert command[command.index("-p") + 1] == "3999"
    assert env["ATLAS_HOME"] == str(tmp_path / "atlas")


def test_no_option_opens_it_to_other_machines():
    assert CliRunner().invoke(app, ["ui", "--host", "0.0.0.0"]).exit_code == 2  # noqa: S104 - it is refused
