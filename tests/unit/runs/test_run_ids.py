"""A run's id is never older than another's, even if the clock is behind."""

from datetime import UTC, datetime, timedelta

import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_results import run_instrument

from atlas_resources.runs import run_ids
from atlas_resources.runs.run_ids import ClockSetBack


@pytest.fixture
def registry(fakes):
    return fake_registry(fake_spec(EMBEDDER))


def report_of_later(dataset, later: timedelta) -> str:
    """A run of another instrument that a machine with a faster clock has begun."""
    name = f"run-{datetime.now(UTC) + later:%Y%m%d-%H%M%SZ}-00000000"
    (dataset.reports_dir / name).mkdir(parents=True)
    return name


def test_a_clock_that_was_set_back_is_named_and_nothing_is_measured(dataset, registry):
    newest = report_of_later(dataset, timedelta(days=3))
    with pytest.raises(ClockSetBack, match=rf"{newest} in .* Fix: set the clock"):
        run_instrument(dataset, registry, EMBEDDER)
    assert not any(plate.runs_folder.exists() for plate in dataset.plates())


def test_a_clock_a_little_behind_gives_the_time_of_the_newest_run(dataset, registry):
    newest = report_of_later(dataset, timedelta(seconds=30))
    run_instrument(dataset, registry, EMBEDDER)
    made = {folder.name for folder in dataset.reports_dir.iterdir()} - {newest}
    assert all(run_id[:20] >= newest[:20] for run_id in made)


def test_a_forced_run_after_a_faster_clock_is_the_current_one(dataset, registry):
    run_instrument(dataset, registry, EMBEDDER)
    (first,) = (folder.name for folder in dataset.reports_dir.iterdir())
    run_instrument(dataset, registry, EMBEDDER, is_forced=True)
    assert max(folder.name for folder in dataset.reports_dir.iterdir()) > first


def test_runs_that_begin_in_one_second_have_ids_of_the_seconds_after_it_in_their_order(dataset, registry):
    for _ in range(4):
        run_instrument(dataset, registry, EMBEDDER, is_forced=True)
    made = [folder.name for folder in dataset.reports_dir.iterdir()]
    assert len(set(made)) == 4
    for plate in dataset.plates():
        begun = sorted(plate.runs_folder.iterdir(), key=lambda folder: folder.stat().st_mtime_ns)
        assert [folder.name for folder in begun] == sorted(made)


def test_a_run_waits_for_the_clock_if_its_id_would_be_far_ahead_of_it(dataset, registry, monkeypatch):
    waited = []
    monkeypatch.setattr(run_ids.time, "sleep", waited.append)
    monkeypatch.setattr(run_ids, "MOST_AHEAD", timedelta(seconds=3))
    for _ in range(8):
        run_instrument(dataset, registry, EMBEDDER, is_forced=True)
    assert len(list(dataset.reports_dir.iterdir())) == 8
    assert 1 in waited
