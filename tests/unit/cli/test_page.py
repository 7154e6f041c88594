"""`atlas page`: where it writes, what it prints, and what it refuses."""

import pytest
from support.made_datasets import make_dataset
from support.made_library import build, library_registry
from support.made_results import measure_groundwork
from support.page_sql import read_library
from typer.testing import CliRunner

from atlas_assets.cli.app import app


@pytest.fixture
def built(tmp_path, fakes, monkeypatch):
    dataset = make_dataset(tmp_path / "data", "red", "green")
    measure_groundwork(dataset)
    build(dataset, library_registry())
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    return dataset


def run(*arguments: str):
    return CliRunner().invoke(app, ["page", *arguments])


def test_it_prints_the_folder_and_a_link_that_opens(built):
    result = run()
    assert result.exit_code == 0, result.output
    last = result.output.splitlines()[-2:]
    assert last[0].startswith(f"{built.page_dir}: 2 plates, ")
    assert last[1] == f"open it: {(built.page_dir / 'index.html').as_uri()}"
    again = run()
    assert "0 files written, 0 removed" in again.output


def test_it_writes_elsewhere_under_a_title(built, tmp_path):
    folder = tmp_path / "with space"
    assert run("--to", str(folder), "--title", "Birds").exit_code == 0
    assert read_library(folder).title == "Birds"
    assert not built.page_dir.exists()


def test_it_says_what_it_leaves_out(built, tmp_path):
    result = run("--commercial", "--to", str(tmp_path / "page"))
    assert result.exit_code == 1  # neither plate states a licence
    assert "no plate to show. This page is for commercial use" in result.output
    assert not (tmp_path / "page").exists()


def test_a_folder_with_other_files_is_refused(built, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("mine")
    result = run("--to", str(tmp_path / "own"))
    assert result.exit_code == 1
    assert "Fix: name another folder with --to" in result.output
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["thesis.txt"]
