"""The wheel works outside the checkout: in an empty folder and for a project of one's own. Its demo is a test apart."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.served import BIN
from support.wheel import atlas, installed_wheel, run

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel's packages."""
    return installed_wheel(tmp_path_factory)


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


def test_what_draws_the_page_is_in_it_and_its_source_is_not(packages: Path):
    built = packages / "atlas_resources" / "page" / "built"
    assert sorted(path.name for path in built.iterdir()) == ["atlas.css", "atlas.js", "index.html", "licences.txt"]
    assert not (packages / "web").exists()


def test_the_packaged_specs_are_whole(packages: Path, tmp_path: Path):
    assert "0 problems" in atlas(packages, tmp_path, "models", "check")


@pytest.fixture(scope="module")
def mine(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one's own, as `atlas init` makes it."""
    folder = tmp_path_factory.mktemp("own")
    atlas(packages, folder, "init", "mine")
    return folder / "mine"


def test_a_project_of_ones_own_takes_a_spec_beside_the_packaged_ones(packages: Path, mine: Path):
    text = (packages / "model_specs" / "otsu_luma.yaml").read_text(encoding="utf-8")
    own = mine / "model_specs" / "my_otsu.yaml"
    own.write_text(text.replace("key: otsu_luma\n", "key: my_otsu\n"), encoding="utf-8")
    assert "0 problems" in atlas(packages, mine, "models", "check")
    assert "my_otsu" in atlas(packages, mine, "models", "show", "my_otsu")


def test_dagsters_commands_work_in_an_empty_folder_and_in_a_project_of_ones_own(
    packages: Path, mine: Path, tmp_path: Path
):
    validate = (BIN / "dagster", "definitions", "validate")
    assert "passed validation" in run(packages, tmp_path, *validate, "-m", "atlas_assets.definitions")
    assert "passed validation" in run(packages, mine, *validate)


@pytest.mark.skipif(not (BIN / "dg").is_file(), reason="no `dg`: dagster-dg-cli is not installed")
def test_dg_works_in_a_project_of_ones_own(packages: Path, mine: Path):
    assert "All definitions loaded successfully" in run(packages, mine, BIN / "dg", "check", "defs")
    assert "otsu_luma" in run(packages, mine, BIN / "dg", "list", "defs", "--json")
