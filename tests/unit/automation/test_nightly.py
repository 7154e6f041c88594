"""The nightly schedule requests what is missing, and failed plates again."""

import dagster as dg
import pytest
from support.automated import ALL, SEGMENTS, Automation, requested
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec
from support.made_datasets import alter_source, run_folders


class TestNightly:
    @pytest.fixture
    def instance(self, tmp_path):
        """Dagster on disk, because a schedule's context opens the instance itself."""
        home = tmp_path / "dagster"
        home.mkdir()
        with dg.DagsterInstance.local_temp(str(home)) as instance:
            yield instance

    def test_a_failed_plate_is_requested_again_until_its_attempts_are_used_up(self, with_magenta):
        with_magenta.execute(with_magenta.tick("fill_missing"))
        for day, attempts in ((1, 2), (2, 3)):
            requests = with_magenta.night(day)
            assert requested(requests) == [({SEGMENTS}, ["plate-003"])]
            assert with_magenta.execute(requests) == [False]
            assert len(run_folders(with_magenta.graph.dataset, "plate-003")) == attempts
        for day in (3, 4):
            assert with_magenta.idle_night(day) == "nothing is missing; failed plates that are not retried: 1"
        assert (
            with_magenta.idle_tick("fill_missing")
            == "nothing is missing; failed plates left to the nightly schedule: 1"
        )

    def test_a_plate_that_is_not_retried_is_named_with_its_reason(self, with_magenta):
        with_magenta.execute(with_magenta.tick("fill_missing"))
        with_magenta.execute(with_magenta.night(1))
        with_magenta.execute(with_magenta.night(2))
        with_magenta.idle_night(3)
        assert with_magenta.logged == ["plate-003 is not retried after 3 failed attempts: magenta cannot be measured"]

    def test_a_changed_instrument_starts_counting_attempts_again(self, with_magenta):
        with_magenta.execute(with_magenta.tick("fill_missing"))
        with_magenta.execute(with_magenta.night(1))
        with_magenta.execute(with_magenta.night(2))
        changed = Automation(with_magenta.graph, fake_registry(fake_spec(SEGMENTER, gain=2.0)))
        assert requested(changed.night(3)) == [({SEGMENTS}, ALL)]

    def test_one_night_has_one_run_key_and_the_next_another(self, automation):
        (first,), (again,), (next_night,) = automation.night(1), automation.night(1), automation.night(2)
        assert first.run_key == again.run_key != next_night.run_key

    def test_a_source_that_stays_altered_is_finally_given_up(self, automation):
        """Groundwork has no sealed failures, but its attempts are limited too."""
        alter_source(automation.graph.dataset, "plate-003")
        for day in (1, 2, 3):
            automation.pass_night(day)
        assert automation.idle_night(4).startswith("nothing is missing")

    def test_a_plate_whose_own_files_stay_unreadable_is_finally_given_up(self, automation):
        automation.execute(automation.tick("fill_missing"))
        (automation.graph.dataset.plate("plate-003").folder / "source.sha256").write_text("nonsense\n")
        for day in (1, 2, 3):
            automation.pass_night(day)
        assert automation.idle_night(4).startswith("nothing is missing")
