"""The sensor requests ledgers once they are behind, and again when one was changed or removed."""

import time

import pytest
from support.automated import Automation
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import draw_scans, run_folders

from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.plates.intake.registration import register_scans


class TestRefreshLedgers:
    @pytest.fixture
    def filled(self, automation):
        """Every plate is measured, and no ledger is built."""
        automation.execute(automation.tick("fill_missing"))
        return automation

    def refresh(self, automation: Automation) -> list[bool]:
        return automation.execute(automation.tick("refresh_ledgers"))

    def test_ledgers_and_catalogue_are_requested_in_one_run(self, filled):
        (request,) = filled.tick("refresh_ledgers")
        assert set(request.asset_selection or []) == set(filled.ledgers)
        assert filled.execute([request]) == [True]
        assert why_behind(filled.graph.dataset, filled.graph.registry) == ""

    def test_they_wait_for_runs_that_are_about_to_be_requested(self, filled):
        more = Automation(filled.graph, fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER)))
        assert more.idle_tick("refresh_ledgers") == "plates whose runs are about to be requested: 5"
        assert more.execute(more.tick("fill_missing")) == [True]
        assert self.refresh(more) == [True]

    def test_they_do_not_wait_for_runs_that_nobody_requests(self, filled, monkeypatch):
        """As when `fill_missing` is off, or a work list was requested before and its run always dies."""
        more = Automation(filled.graph, fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER)))
        monkeypatch.setattr("atlas_assets.automation.sensors.QUIET_SECONDS", 0.0)
        assert self.refresh(more) == [True]

    def test_ledgers_that_are_too_old_are_rebuilt(self, filled, monkeypatch):
        """A rebuild compares every sealed file with its digest; a change of a file is no reason to rebuild."""
        self.refresh(filled)
        now = time.time()
        monkeypatch.setattr("atlas_assets.automation.sensors.time.time", lambda: now + 25 * 3600)
        assert self.refresh(filled) == [True]
        assert filled.logged[-1] == "older than 24 hours: compares every sealed file with its digest"

    def test_nothing_is_requested_when_they_are_up_to_date(self, filled):
        self.refresh(filled)
        assert filled.idle_tick("refresh_ledgers") == "the ledgers are up to date"

    def test_each_change_is_requested_once_and_the_reason_is_logged(self, filled):
        self.refresh(filled)
        filled.graph.materialize(f"segments/{SEGMENTER}", plates=["plate-002"], forced=[f"segments__{SEGMENTER}"])
        newest = run_folders(filled.graph.dataset, "plate-002")[-1]
        filled.logged.clear()
        (first,), (second,) = filled.tick("refresh_ledgers"), filled.tick("refresh_ledgers")
        assert first.run_key == second.run_key
        assert filled.logged == [f"1 sealed runs were added or removed; the newest is {newest}"] * 2
        assert filled.execute([first]) == [True]
        assert filled.execute([second]) == []
        assert filled.idle_tick("refresh_ledgers") == "the ledgers are up to date"

    def test_a_failure_is_a_change(self, with_magenta):
        with_magenta.execute(with_magenta.tick("fill_missing"))
        self.refresh(with_magenta)
        with_magenta.graph.materialize(f"segments/{SEGMENTER}")
        assert self.refresh(with_magenta) == [True]
        assert with_magenta.idle_tick("refresh_ledgers") == "the ledgers are up to date"

    def test_a_changed_instrument_and_a_new_plate_are_changes(self, filled, tmp_path, monkeypatch):
        monkeypatch.setattr("atlas_assets.automation.sensors.QUIET_SECONDS", 0.0)
        self.refresh(filled)
        changed = Automation(filled.graph, fake_registry(fake_spec(SEGMENTER, gain=2.0)))
        assert "instruments changed: " in why_behind(changed.graph.dataset, changed.graph.registry)
        assert self.refresh(changed) == [True]
        list(register_scans(changed.graph.dataset, draw_scans(tmp_path / "late", "plum")))
        assert self.refresh(changed) == [True]
        assert changed.idle_tick("refresh_ledgers") == "the ledgers are up to date"

    def test_deleted_ledgers_are_built_again_every_time(self, filled):
        for _ in range(2):
            assert self.refresh(filled) == [True]
            for path in filled.graph.dataset.ledger_dir.glob("*.parquet"):
                path.unlink()
        assert self.refresh(filled) == [True]
