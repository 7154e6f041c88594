"""The wheel works outside the checkout: in an empty folder, for the demo and for a project of one's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.served import BIN

from atlas_resources.files.project import PROJECT_ROOT

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's packages as the wheel has them. What they depend on is that of the tests' own environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = folder / "source"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT_ROOT), str(source)], check=True)
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


def atlas(packages: Path, folder: Path, *arguments: str) -> str:
    """Runs `atlas` from the wheel's packages in a folder; gives its output."""
    return run(packages, folder, sys.executable, "-m", "atlas_assets.cli.app", *arguments)


def run(packages: Path, folder: Path, *command: str | Path) -> str:
    """Runs a command with the wheel's packages in a folder; gives its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ATLAS_", "DAGSTER_"))}
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # where the weights are
    own = {"PYTHONPATH": str(packages), "HOME": str(folder), "XDG_CACHE_HOME": cache, "VIRTUAL_ENV": sys.prefix}
    result = subprocess.run(
        command,
        cwd=folder,
        env={**environment, **own},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_nothing_of_the_checkout_is_used(packages: Path, tmp_path: Path):
    code = "from atlas_resources.files.project import PROJECT_ROOT; print(PROJECT_ROOT)"
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()) == packages
    assert {path.name for path in packages.iterdir() if not path.name.endswith("-info")} >= {
        "atlas_assets",
        "atlas_resources",
        "model_specs",
    }
    assert not (packages / "tests").exists()


def test_the_packaged_specs_are_whole(packages: Path, tmp_path: Path):
    assert "0 problems" in atlas(packages, tmp_path, "models", "check")


def test_the_demo_runs_in_an_empty_folder(packages: Path, tmp_path: Path):
    atlas(packages, tmp_path, "demo")
    assert (tmp_path / "data" / "atlas" / "atlas.duckdb").is_file()
    answer = atlas(packages, tmp_path, "query", "SELECT count(*) AS plates FROM plates")
    assert "24" in answer


def test_a_project_of_ones_own_takes_a_spec_beside_the_packaged_ones(packages: Path, tmp_path: Path):
    atlas(packages, tmp_path, "init", "mine")
    text = (packages / "model_specs" / "otsu_luma.yaml").read_text(encoding="utf-8")
    own = tmp_path / "mine" / "model_specs" / "my_otsu.yaml"
    own.write_text(text.replace("key: otsu_luma\n", "key: my_otsu\n"), encoding="utf-8")
    assert "0 problems" in atlas(packages, tmp_path / "mine", "models", "check")
    assert "my_otsu" in atlas(packages, tmp_path / "mine", "models", "show", "my_otsu")


def test_dagsters_commands_work_in_an_empty_folder_and_in_a_project_of_ones_own(packages: Path, tmp_path: Path):
    validate = (BIN / "dagster", "definitions", "validate")
    assert "passed validation" in run(packages, tmp_path, *validate, "-m", "atlas_assets.definitions")
    atlas(packages, tmp_path, "init", "mine")
    assert "passed validation" in run(packages, tmp_path / "mine", *validate)


@pytest.mark.skipif(not (BIN / "dg").is_file(), reason="no `dg`: dagster-dg-cli is not installed")
def test_dg_works_in_a_project_of_ones_own(packages: Path, tmp_path: Path):
    atlas(packages, tmp_path, "init", "mine")
    assert "All definitions loaded successfully" in run(packages, tmp_path / "mine", BIN / "dg", "check", "defs")
    assert "otsu_luma" in run(packages, tmp_path / "mine", BIN / "dg", "list", "defs", "--json")
