"""A bad night: bad plates, a killed run worker, a restarted daemon, and a model and a plate that are added meanwhile.

Every good plate is done once, every bad one fails by name, and the ledgers equal a rebuild from the plates. The log of
the same scenario at full size is docs/scenario_1000_plates.md.
"""

from collections.abc import Iterator

import polars as pl
import pytest
from support.deployed import deployment
from support.plate_truth import ledgers_that_differ, pickles_in, sealed_statuses
from support.scenario import ASSETS, FIRST, Outcome, make_library, play

from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.tables.ledgers import RUNS

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

PLATES, BAD = 48, 3
SETTLE_SECONDS = 600  # a time limit, not a measure of speed
CANARY = "hf_a-token-that-is-nobodys"


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("night")
    dataset, bad, late = make_library(folder, PLATES, BAD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", CANARY)
        with deployment(dataset, folder, *FIRST) as running:
            yield play(running, bad, late, seconds=SETTLE_SECONDS)


def test_every_good_plate_was_done_once(night):
    statuses = sealed_statuses(night.deployment.dataset)
    assert len(night.good) == PLATES + 1 - BAD
    assert {(plate_id, key): statuses[plate_id, key] for plate_id in night.good for key in ASSETS} == {
        (plate_id, key): ["complete"] for plate_id in night.good for key in ASSETS
    }


def test_every_bad_plate_failed_by_name_and_with_its_reason(night):
    failed = read_ledger(night.deployment.dataset, RUNS).filter(pl.col("status") == "failed")
    assert set(failed["plate_id"]) == set(night.bad)
    for plate_id, what in night.bad.items():
        kind = "ImageRefused" if what == "removed" else "SourceChanged"
        (reason,) = set(failed.filter(pl.col("plate_id") == plate_id).select("error_type", "error_stage").iter_rows())
        assert reason == (kind, "decode"), what


@pytest.mark.parametrize("asset", [*ASSETS.values(), "plate/input_image"])
def test_the_ui_shows_exactly_the_bad_plates_as_failed(night, asset):
    assert night.deployment.server.plates(*asset.split("/")) == night.good
    assert night.deployment.failed_plates(*asset.split("/")) == set(night.bad)


def test_the_ledgers_are_what_a_rebuild_from_the_plates_gives(night, tmp_path):
    dataset, registry = night.deployment.dataset, night.deployment.registry
    assert why_behind(dataset, registry) == ""
    assert ledgers_that_differ(dataset, registry, tmp_path) == []


def test_the_killed_run_is_shown_as_failed(night):
    assert [run["status"] for run in night.deployment.runs() if run["runId"] == night.killed] == ["FAILURE"]


def test_no_run_leaves_a_pickle(night):
    """No value passes between steps, so that Dagster's default IO manager, which pickles, has nothing to write."""
    dataset = night.deployment.dataset
    assert list(pickles_in(dataset.root, dataset.root.parent / "dagster")) == []


def test_no_secret_of_the_environment_is_written_down(night):
    """Run configuration, events, logs and manifests do not contain it."""
    folder = night.deployment.dataset.root.parent
    assert [path for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()] == []


def test_no_more_runs_came_in_the_next_ticks(night):
    assert night.came_after == 0
