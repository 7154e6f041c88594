"""Commands of Dagster work in a checkout as they are, without DAGSTER_HOME: `dagster dev`, `dg dev`, checks, lists."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from support.made_datasets import make_dataset
from support.served import BIN, START_SECONDS, Server, free_port, program

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.registry import read_registry
from atlas_resources.plates.dataset import Dataset

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

needs_dg = pytest.mark.skipif(not (BIN / "dg").is_file(), reason="no `dg`: dagster-dg-cli is not installed")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A dataset of two plates, and the environment of a shell in an activated environment where nothing else is set."""
    for name in ("DAGSTER_HOME", "ATLAS_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    dataset = make_dataset(tmp_path, "red", "green")
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VIRTUAL_ENV", str(BIN.parent))
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    return dataset


def run(*command: str) -> str:
    """Runs a command in the checkout; gives its output."""
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.usefixtures("home")
def test_dagster_definitions_validate():
    said = run("dagster", "definitions", "validate")
    assert "All code locations passed validation" in said
    assert "UserWarning" not in said


@needs_dg
@pytest.mark.usefixtures("home")
def test_dg_check_defs():
    assert "All definitions loaded successfully" in run("dg", "check", "defs")


@needs_dg
@pytest.mark.usefixtures("home")
def test_dg_list_defs():
    said = run("dg", "list", "defs", "--json")
    listed = json.loads(said[said.index("{") : said.rindex("}") + 1])
    keys = {asset["asset_key"] for asset in listed["assets"]}
    assert {"plate/manifest", "catalogue"} <= keys
    assert len(keys) > len(read_registry().instruments)


@pytest.mark.parametrize(
    "command", [("dagster", "dev", "-p"), pytest.param(("dg", "dev", "--port"), marks=needs_dg)], ids=" ".join
)
def test_the_development_server_shows_the_dataset_and_has_its_history_in_a_temporary_folder(home, command):
    port = free_port()
    server = Server(port)
    with program(home, BIN / command[0], *command[1:], str(port)) as process:
        deadline = time.monotonic() + START_SECONDS
        while not server.is_up():
            assert process.poll() is None, (home.root / f"{command[0]}.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.5)
        nodes = server.ask("{ assetNodes { assetKey { path } } }")["assetNodes"]
        assert ["plate", "manifest"] in [node["assetKey"]["path"] for node in nodes]
        values = server.ask(
            """query($selector: ResourceSelector!) { topLevelResourceDetailsOrError(resourceSelector: $selector) {
                ... on ResourceDetails { configuredValues { key value } } } }""",
            selector={
                "repositoryLocationName": "atlas",
                "repositoryName": "__repository__",
                "resourceName": "dataset",
            },
        )["topLevelResourceDetailsOrError"]["configuredValues"]
        assert json.loads(values[0]["value"]) == str(home.root)
    log = (home.root / f"{command[0]}.log").read_text()
    assert "Using temporary directory" in log
    assert not list(PROJECT_ROOT.glob(".tmp_dagster_home_*"))
    assert not (home.root / ".dagster").exists()


def test_the_checkout_has_the_settings_of_the_packages():
    """Without DAGSTER_HOME, Dagster reads dagster.yaml of the working directory: telemetry is off there too."""
    link = PROJECT_ROOT / "dagster.yaml"
    assert link.resolve() == PROJECT_ROOT / "atlas_assets" / "project" / "dagster.yaml"
