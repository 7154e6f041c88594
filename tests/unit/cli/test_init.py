"""`atlas init` makes a project whose settings and specs are read beside the packaged ones."""

from pathlib import Path

import pytest
import yaml
from support.made_specs import content_of
from typer.testing import CliRunner

from atlas_assets.automation.settings import read_settings
from atlas_assets.cli.app import app
from atlas_assets.graph.instruments import build_broken_spec_assets
from atlas_resources.files.project import SETTINGS_FOLDER, ProjectMissing, own_project, writable_project
from atlas_resources.instruments.registry import read_registry


def init(folder: Path):
    return CliRunner().invoke(app, ["init", str(folder)])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project, which is the working directory."""
    folder = tmp_path / "mine"
    assert init(folder).exit_code == 0
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ATLAS_PROJECT", raising=False)
    return folder


def write_own_spec(project: Path, key: str, **changes: object) -> Path:
    path = project / "model_specs" / f"{key}.yaml"
    path.write_text(yaml.safe_dump({**content_of("otsu_luma"), "key": key, **changes}), encoding="utf-8")
    return path


def test_the_settings_are_copies_of_the_packaged_ones(project: Path):
    copied = {path.name: path.read_bytes() for path in project.iterdir() if path.is_file()}
    assert copied == {path.name: path.read_bytes() for path in SETTINGS_FOLDER.iterdir() if path.is_file()}
    assert (project / "model_specs" / "roster.yaml").is_file()


def test_nothing_is_overwritten(project: Path):
    (project / "automation.yaml").write_text("mine")
    result = init(project)
    assert result.exit_code == 1
    assert "automation.yaml" in result.output
    assert (project / "automation.yaml").read_text() == "mine"


def test_a_spec_of_ones_own_is_read_beside_the_packaged_ones(project: Path):
    packaged = set(read_registry().instruments)
    write_own_spec(project, "my_otsu")
    registry = read_registry()
    assert set(registry.instruments) == packaged | {"my_otsu"}
    assert registry.path_of("my_otsu") == project / "model_specs" / "my_otsu.yaml"
    assert registry.path_of("otsu_luma").parent.name == "model_specs"
    assert registry.problems == ()


def test_the_own_roster_says_which_instruments_are_active(project: Path):
    write_own_spec(project, "my_otsu")
    (project / "model_specs" / "roster.yaml").write_text("active: [my_otsu]\n")
    assert read_registry().active == {"my_otsu"}


@pytest.mark.parametrize("command", ["run", "status"])
def test_a_roster_with_an_unknown_name_is_named_and_the_exit_code_is_1(command: str, project: Path):
    """Nothing is active then: without a word, a run would look as if all were done."""
    (project / "model_specs" / "roster.yaml").write_text("active: [otsu_luna]\n")
    arguments = [command, "plate/manifest"] if command == "run" else [command]
    result = CliRunner().invoke(app, arguments, env={"ATLAS_HOME": str(project / "data")})
    assert result.exit_code == 1, result.output
    assert "roster.yaml: active: found 'otsu_luna', expected an admitted instrument" in result.output
    assert "no instrument is active until roster.yaml is right" in result.output


def test_a_key_that_is_taken_is_a_problem_of_the_own_file_and_the_packaged_spec_stays(project: Path):
    path = write_own_spec(project, "otsu_luma", title="Mine")
    registry = read_registry()
    (problem,) = registry.problems
    assert problem.file == str(path)
    assert problem.expected == "a key that no packaged instrument has"
    assert registry.specs["otsu_luma"].title != "Mine"


def test_a_broken_spec_of_ones_own_leaves_the_others(project: Path):
    packaged = set(read_registry().instruments)
    (project / "model_specs" / "half.yaml").write_text("key: half\n")
    registry = read_registry()
    assert {Path(problem.file).name for problem in registry.problems} == {"half.yaml"}
    assert set(registry.instruments) == packaged
    (node,) = build_broken_spec_assets(registry)
    assert (node.key.path[0], node.key.path[-1]) == ("broken_specs", "half")


def test_own_settings_count(project: Path):
    path = project / "automation.yaml"
    path.write_text(path.read_text().replace("most_attempts: 3", "most_attempts: 7"))
    assert read_settings().most_attempts == 7


def test_the_variable_names_a_project_from_anywhere(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert own_project() is None
    monkeypatch.setenv("ATLAS_PROJECT", str(project))
    assert own_project() == project
    assert writable_project() == project


def test_a_variable_that_names_no_project_is_an_error_that_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ATLAS_PROJECT", str(tmp_path))
    with pytest.raises(ProjectMissing, match=f"atlas init {tmp_path}"):
        own_project()


def test_the_command_says_so_in_one_line_and_init_makes_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "later"
    monkeypatch.setenv("ATLAS_PROJECT", str(folder))
    result = CliRunner().invoke(app, ["models", "list"])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert f"atlas init {folder}" in result.output
    assert init(folder).exit_code == 0
    assert CliRunner().invoke(app, ["models", "list"]).exit_code == 0
