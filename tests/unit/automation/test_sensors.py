"""The sensor requests missing plates once, and stops retrying a plate that keeps failing."""

import dagster as dg
import pytest
from dagster._core.definitions.data_version import INPUT_DATA_VERSION_TAG_PREFIX
from support.automated import ALL, EMBEDDINGS, GROUNDWORK, SEGMENTS, SETTINGS, Automation, requested
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.fake_regions import KEYS, region_registry
from support.made_datasets import Graph, alter_source, draw_scans, run_folders

from atlas_assets.automation.sensors import build_automation
from atlas_assets.automation.settings import AutomationSettings, Nightly, read_settings
from atlas_assets.graph.partitions import add_missing_partitions
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.intake.registration import register_scans


class TestFillMissing:
    def test_all_plates_are_requested_in_one_run(self, automation):
        assert requested(automation.tick("fill_missing")) == [({*GROUNDWORK, SEGMENTS}, ALL)]

    def test_nothing_is_missing_when_they_are_made(self, automation):
        assert automation.execute(automation.tick("fill_missing")) == [True]
        assert automation.graph.materialized(f"segments/{SEGMENTER}") == set(ALL)
        assert (
            automation.idle_tick("fill_missing") == "nothing is missing; failed plates left to the nightly schedule: 0"
        )

    def test_an_instrument_and_what_reads_it_are_one_run(self, automation):
        reading = Automation(automation.graph, region_registry())
        requests = reading.tick("fill_missing")
        regions = {dg.AssetKey(key.split("/")) for key in KEYS.values()}
        assert requested(requests) == [({*GROUNDWORK, SEGMENTS, EMBEDDINGS, *regions}, ALL)]
        assert reading.execute(requests) == [True]
        assert reading.idle_tick("fill_missing").startswith("nothing is missing")

    def test_only_a_new_instrument_is_requested_for_all_plates(self, automation):
        automation.execute(automation.tick("fill_missing"))
        more = Automation(automation.graph, fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER)))
        requests = more.tick("fill_missing")
        assert requested(requests) == [({EMBEDDINGS}, ALL)]
        assert more.execute(requests) == [True]
        assert more.idle_tick("fill_missing") == "nothing is missing; failed plates left to the nightly schedule: 0"
        assert [len(run_folders(more.graph.dataset, plate_id)) for plate_id in ALL] == [2] * 5

    def test_a_changed_instrument_is_requested_for_all_plates(self, automation):
        automation.execute(automation.tick("fill_missing"))
        changed = Automation(automation.graph, fake_registry(fake_spec(SEGMENTER, gain=2.0)))
        assert requested(changed.tick("fill_missing")) == [({SEGMENTS}, ALL)]

    def test_only_a_new_plate_is_requested_once_it_has_a_partition(self, automation, tmp_path):
        automation.execute(automation.tick("fill_missing"))
        list(register_scans(automation.graph.dataset, draw_scans(tmp_path / "late", "plum")))
        assert (
            automation.idle_tick("fill_missing") == "nothing is missing; failed plates left to the nightly schedule: 0"
        )
        add_missing_partitions(automation.graph.instance, automation.graph.dataset)
        manifest = automation.tick("fill_missing")
        assert requested(manifest) == [({MANIFEST_KEY}, ["plate-006"])]
        assert automation.execute(manifest) == [True]
        assert requested(automation.tick("fill_missing")) == [({*GROUNDWORK, SEGMENTS}, ["plate-006"])]

    def test_a_plate_whose_manifest_failed_does_not_block_the_others(self, dataset, fakes, instance):
        alter_source(dataset, "plate-003")
        add_missing_partitions(instance, dataset)
        automation = Automation(Graph(dataset, fake_registry(), instance), fake_registry(fake_spec(SEGMENTER)))
        manifests = automation.tick("fill_missing")
        assert requested(manifests) == [({MANIFEST_KEY}, ALL)]
        assert automation.execute(manifests) == [False]
        assert requested(automation.tick("fill_missing")) == [({*GROUNDWORK, SEGMENTS}, ALL)]

    def test_what_it_makes_is_up_to_date_in_the_ui(self, automation):
        """Without an event of its manifest, the UI shows a plate as stale."""
        automation.execute(automation.tick("fill_missing"))
        tags = automation.graph.events(f"segments/{SEGMENTER}")[0][1].tags
        assert f"{INPUT_DATA_VERSION_TAG_PREFIX}/plate/manifest" in tags

    def test_an_instrument_that_is_not_active_is_not_asked_for(self, graph):
        both = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
        one_active = Registry(both.folder, both.specs, frozenset({SEGMENTER}), ())
        assert requested(Automation(graph, one_active).tick("fill_missing")) == [({*GROUNDWORK, SEGMENTS}, ALL)]

    def test_the_same_work_has_the_same_run_key_and_is_run_once(self, automation):
        (first,), (second,) = automation.tick("fill_missing"), automation.tick("fill_missing")
        assert first.run_key == second.run_key
        automation.execute([first])
        assert automation.execute([second]) == []

    def test_other_work_has_another_run_key(self, automation):
        (first,) = automation.tick("fill_missing")
        (second,) = Automation(automation.graph, fake_registry(fake_spec(SEGMENTER, gain=2.0))).tick("fill_missing")
        assert requested([first]) == requested([second])
        assert first.run_key != second.run_key

    def test_a_plate_that_failed_is_not_asked_for_again(self, with_magenta):
        assert with_magenta.execute(with_magenta.tick("fill_missing")) == [False]
        assert with_magenta.graph.materialized(f"segments/{SEGMENTER}") == set(ALL) - {"plate-003"}
        assert (
            with_magenta.idle_tick("fill_missing")
            == "nothing is missing; failed plates left to the nightly schedule: 1"
        )

    def test_a_plate_whose_source_was_altered_is_not_asked_for_again(self, automation):
        alter_source(automation.graph.dataset, "plate-003")
        assert automation.execute(automation.tick("fill_missing")) == [False]
        assert automation.idle_tick("fill_missing").startswith("nothing is missing")


class TestSettings:
    @pytest.mark.parametrize(
        ("switch", "running"),
        [
            ("off", set()),
            ("sensors", {"register_new_scans", "fill_missing", "refresh_ledgers", "nightly"}),
            ("conditions", {"register_new_scans", "conditions"}),
        ],
    )
    def test_one_switch_says_what_runs_by_default(self, automation, switch, running):
        settings = SETTINGS.model_copy(update={"switch": switch})
        sensors, schedules = build_automation(automation.graph.registry, settings, automation.ledgers)
        statuses = {one.name: one.default_status.value for one in (*sensors, *schedules)}
        watching = {"library_metrics", "alert_by_webhook", "alert_by_mail"}  # which have switches of their own
        requesting = {"register_new_scans", "fill_missing", "refresh_ledgers", "conditions", "nightly"}
        assert set(statuses) == watching | requesting
        assert {name for name, status in statuses.items() if status == "RUNNING"} == running

    def test_the_projects_own_file_switches_nothing_on(self):
        assert read_settings().switch == "off"

    def test_cron_and_time_zone_are_those_of_the_settings(self, automation):
        assert automation.schedule.cron_schedule == "30 3 * * *"
        assert automation.schedule.execution_timezone == "Europe/Berlin"

    def test_the_projects_own_file_is_read(self):
        settings = read_settings()
        assert (settings.nightly.cron, settings.nightly.timezone, settings.most_attempts) == ("0 2 * * *", "UTC", 3)

    def test_another_file_is_read(self, tmp_path):
        path = tmp_path / "automation.yaml"
        path.write_text('nightly:\n  cron: "15 4 * * 6"\n  timezone: Asia/Tokyo\nmost_attempts: 5\n')
        assert read_settings(path) == AutomationSettings(
            nightly=Nightly(cron="15 4 * * 6", timezone="Asia/Tokyo"), most_attempts=5
        )

    @pytest.mark.parametrize(
        ("content", "field"),
        [
            ('nightly: {crom: "0 2 * * *", timezone: UTC}\nmost_attempts: 3\n', "nightly.crom"),
            ('nightly: {cron: "0 2 * * *"}\nmost_attempts: 3\n', "nightly.timezone"),
            ('nightly: {cron: "0 2 * * *", timezone: UTC}\nmost_attempts: 0\n', "most_attempts"),
            ('nightly: {cron: "0 2 * * *", timezone: UTC}\nmost_attempts: 3\nretries: 2\n', "retries"),
            ('switch: on\nnightly: {cron: "0 2 * * *", timezone: UTC}\nmost_attempts: 3\n', "switch"),
        ],
    )
    def test_a_wrong_field_is_named(self, tmp_path, content, field):
        path = tmp_path / "automation.yaml"
        path.write_text(content)
        with pytest.raises(ValueError, match=r"automation\.yaml") as caught:
            read_settings(path)
        assert field in str(caught.value)
