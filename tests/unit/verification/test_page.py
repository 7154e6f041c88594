"""`verify` and `status` know the page: a page that is behind is noted and is not wrong."""

import json

import pytest
from support.made_datasets import make_dataset
from support.made_library import build, library_registry
from support.made_results import measure_groundwork
from support.made_tags import tagged
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_resources.page.making import make_page
from atlas_resources.page.state import RECORD
from atlas_resources.verification.library import verify


@pytest.fixture
def made(tmp_path, fakes):
    dataset, registry = make_dataset(tmp_path, "red", "green"), library_registry()
    measure_groundwork(dataset)
    build(dataset, registry)
    make_page(dataset)
    return dataset, registry


def findings(dataset, registry) -> list[tuple[str, str, str, str]]:
    found = verify(dataset, registry, "quick").findings
    return [(one.kind, one.path, one.problem, one.fix) for one in found if one.path.startswith("page")]


def test_a_page_of_the_present_catalogue_is_no_finding(made):
    assert findings(*made) == []


def test_a_page_that_is_behind_or_not_whole_is_unfinished(made):
    dataset, registry = made
    tagged(dataset, "plate-001", "torn")
    build(dataset, registry)
    behind = "the page is behind: the catalogue was built since"
    assert findings(dataset, registry) == [("unfinished", "page", behind, "atlas page")]
    (dataset.page_dir / RECORD).unlink()
    behind = "the page is behind: it is not written to its end"
    assert findings(dataset, registry) == [("unfinished", "page", behind, "atlas page")]
    assert verify(dataset, registry, "quick").is_clean


def test_status_says_that_the_page_is_behind_and_how_to_make_it(made, monkeypatch):
    dataset, _ = made
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    (dataset.page_dir / RECORD).unlink()
    shown = CliRunner().invoke(app, ["status"])
    assert "page: it is not written to its end; to make it: atlas page" in shown.output
    told = CliRunner().invoke(app, ["status", "--json"])
    assert json.loads(told.output)["page_behind"] == "it is not written to its end"
