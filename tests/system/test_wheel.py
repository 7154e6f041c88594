"""The wheel works outside the checkout: in an empty folder, for the demo and for a project of one's own.

On the demo's dataset, queries of pages give the answers shown, and those of docs/catalogue.md run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from support.readme_answers import README, differences, shown
from support.served import BIN

from atlas_resources.catalogue.build import connect
from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.plates.dataset import Dataset

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

CATALOGUE_PAGE = PROJECT_ROOT / "docs" / "catalogue.md"
QUERIES_PAGE = PROJECT_ROOT / "docs" / "queries.md"


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
        timeout=600,
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


def statements(page: str) -> list[str]:
    """The statements of a page's SQL blocks."""
    blocks = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    return [statement for block in blocks for statement in re.split(r";[^\n]*\n", block) if statement.strip()]


@pytest.fixture(scope="module")
def demonstrated(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was empty before `atlas demo`, and a snapshot, which a worked question asks about."""
    folder = tmp_path_factory.mktemp("demonstrated")
    atlas(packages, folder, "demo")
    atlas(packages, folder, "snapshot", "create", "first")
    atlas(packages, folder, "run", "@ledgers")
    return folder


@pytest.fixture(scope="module")
def connection(demonstrated: Path):
    with connect(Dataset(demonstrated / "data" / "atlas")) as opened:
        yield opened


def test_the_demo_runs_in_an_empty_folder(packages: Path, demonstrated: Path):
    assert (demonstrated / "data" / "atlas" / "atlas.duckdb").is_file()
    answer = atlas(packages, demonstrated, "query", "SELECT count(*) AS plates FROM plates")
    assert "24" in answer


@pytest.mark.parametrize(("page", "count"), [(README, 7), (QUERIES_PAGE, 40)], ids=["README.md", "queries.md"])
def test_each_query_gives_the_rows_below_it(connection, page, count):
    examples = shown(page)
    assert len(examples) == page.read_text(encoding="utf-8").count("```sql") == count
    wrong = {sql: found for sql, expected in examples if (found := differences(connection, sql, expected))}
    assert wrong == {}


def test_the_statements_of_the_catalogue_s_page_run(connection):
    failed = {}
    for statement in statements(CATALOGUE_PAGE.read_text(encoding="utf-8")):
        try:
            connection.execute(statement).fetchall()
        except duckdb.Error as error:
            failed[statement] = str(error)
    assert failed == {}


def test_statements_of_a_page_are_found():
    assert statements("```sql\nSHOW TABLES;  -- all\nFROM models\nLIMIT 1;\n```\n```sh\nls;\n```") == [
        "SHOW TABLES",
        "FROM models\nLIMIT 1",
    ]
    assert len(statements(CATALOGUE_PAGE.read_text(encoding="utf-8"))) >= 6


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
