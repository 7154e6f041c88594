"""A tick of the sensor registers staged scans, adds partitions, and requests one run over the new plates."""

import json
import re

import dagster as dg
import pytest
from support.made_datasets import draw_scan, draw_scans

from atlas_assets.automation.new_scans import build_new_scans_sensor
from atlas_assets.automation.settings import read_settings
from atlas_assets.definitions import build_definitions
from atlas_resources.instruments.registry import read_registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake import registration
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.refused_scans import read_refused_scans
from atlas_resources.resources import DatasetResource


class Ticks:
    """Evaluates the sensor tick by tick as the daemon does: it keeps the cursor and adds partitions."""

    def __init__(self, dataset: Dataset, instance: dg.DagsterInstance):
        self.dataset = dataset
        self.instance = instance
        self.cursor: str | None = None

    def tick(self) -> dg.SensorResult:
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"dataset": DatasetResource(root=str(self.dataset.root))},
        )
        result = build_new_scans_sensor(read_settings())(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or []:
            assert isinstance(request, dg.AddDynamicPartitionsRequest)
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        for event in result.asset_events:
            assert isinstance(event, dg.AssetCheckEvaluation)
            self.instance.report_runless_asset_event(event)
        return result

    def tick_with_news(self) -> dg.SensorResult:
        result = self.tick()
        assert result.run_requests
        return result

    def tick_without_news(self) -> str:
        result = self.tick()
        assert not result.run_requests
        assert result.skip_reason is not None
        return str(
            result.skip_reason.skip_message if isinstance(result.skip_reason, dg.SkipReason) else result.skip_reason
        )


@pytest.fixture
def ticks(tmp_path, instance):
    dataset = Dataset(tmp_path / "atlas")
    dataset.ensure()
    return Ticks(dataset, instance)


def test_an_empty_staging_folder_requests_nothing(ticks):
    assert ticks.tick_without_news() == "no new plates"


def test_staged_scans_become_plates_with_partitions_and_one_run_request(ticks):
    draw_scans(ticks.dataset.staging_dir, "red", "green", "blue")
    result = ticks.tick_with_news()
    assert ticks.dataset.plate_ids() == ["plate-001", "plate-002", "plate-003"]
    assert ticks.instance.get_dynamic_partitions("plates") == ["plate-001", "plate-002", "plate-003"]
    (request,) = result.run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "plate-001"
    assert request.tags["dagster/asset_partition_range_end"] == "plate-003"
    assert {key.to_user_string() for key in request.asset_selection or []} == {
        "plate/manifest",
        "plate/input_image",
        "plate/input_color_histograms",
    }


def test_the_requested_run_materialises_the_new_plates(ticks):
    draw_scans(ticks.dataset.staging_dir, "red", "green")
    (request,) = ticks.tick_with_news().run_requests or []
    definitions = build_definitions(read_registry(), ticks.dataset.root)
    run = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=ticks.instance, asset_selection=list(request.asset_selection or []), tags=request.tags
    )
    assert run.success
    for key in request.asset_selection or []:
        assert ticks.instance.get_materialized_partitions(key) == {"plate-001", "plate-002"}


def test_a_second_tick_requests_nothing(ticks):
    draw_scans(ticks.dataset.staging_dir, "red", "green")
    ticks.tick_with_news()
    assert ticks.tick_without_news() == "no new plates"


def test_a_tick_without_new_scans_reads_no_manifest(ticks, monkeypatch):
    draw_scans(ticks.dataset.staging_dir, "red")
    ticks.tick_with_news()
    monkeypatch.setattr(registration, "read_known_plates", lambda dataset: pytest.fail("every manifest is read"))
    assert ticks.tick_without_news() == "no new plates"


def test_later_scans_are_a_separate_range(ticks):
    draw_scans(ticks.dataset.staging_dir, "red", "green")
    ticks.tick_with_news()
    draw_scan(ticks.dataset.staging_dir / "deeper" / "down" / "late.png", (10, 20, 30))
    (request,) = ticks.tick_with_news().run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "plate-003"
    assert request.tags["dagster/asset_partition_range_end"] == "plate-003"


def test_a_refused_scan_is_named_once_and_the_rest_is_registered(ticks):
    (ticks.dataset.staging_dir / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a JPEG")
    assert "refused torn.jpg: " in ticks.tick_without_news()
    assert ticks.tick_without_news() == "no new plates"
    draw_scans(ticks.dataset.staging_dir, "red")
    assert ticks.tick_with_news().run_requests
    assert ticks.dataset.plate_ids() == ["plate-001"]


def test_a_scan_that_was_still_being_copied_is_tried_again_when_it_changes(ticks, tmp_path):
    whole = draw_scan(tmp_path / "whole.png", (60, 90, 40)).read_bytes()
    staged = ticks.dataset.staging_dir / "slow.png"
    staged.write_bytes(whole[: len(whole) // 2])
    assert "refused slow.png: " in ticks.tick_without_news()
    staged.write_bytes(whole)
    ticks.tick_with_news()
    assert ticks.dataset.plate_ids() == ["plate-001"]


def test_identity_comes_from_the_index_next_to_the_staged_scans(ticks):
    (scan,) = draw_scans(ticks.dataset.staging_dir / "birds", "red")
    index = [{"plate": 17, "name": "Carolina Turtle Dove", "slug": "carolina-turtle-dove", "fileName": scan.name}]
    (scan.parent / "data.json").write_text(json.dumps(index))
    ticks.tick_with_news()
    manifest = ticks.dataset.plate("plate-017").manifest()
    assert (manifest.plate_number, manifest.title) == (17, "Carolina Turtle Dove")


def test_plates_registered_on_the_command_line_are_included(ticks, tmp_path):
    list(register_scans(ticks.dataset, draw_scans(tmp_path / "elsewhere", "red", "green")))
    (request,) = ticks.tick_with_news().run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "plate-001"
    assert request.tags["dagster/asset_partition_range_end"] == "plate-002"
    assert ticks.instance.get_dynamic_partitions("plates") == ["plate-001", "plate-002"]


def test_a_tick_does_not_change_the_staged_files(ticks):
    scans = draw_scans(ticks.dataset.staging_dir, "red", "green")
    before = [scan.read_bytes() for scan in scans]
    ticks.tick_with_news()
    assert [scan.read_bytes() for scan in scans] == before


def test_the_next_tick_continues_one_that_ran_out_of_time(ticks, monkeypatch):
    monkeypatch.setattr("atlas_assets.automation.new_scans.TICK_BUDGET_SECONDS", 0.0)
    draw_scans(ticks.dataset.staging_dir, "red", "green", "blue")
    for number in (1, 2, 3):
        ticks.tick_with_news()
        assert len(ticks.dataset.plate_ids()) == number
    assert ticks.tick_without_news() == "no new plates"


def test_scans_with_an_unreadable_index_are_registered_once_it_is_fixed(ticks):
    (scan,) = draw_scans(ticks.dataset.staging_dir / "birds", "red")
    index = scan.parent / "data.json"
    index.write_text("[{")
    assert "refused birds/data.json: " in ticks.tick_without_news()
    assert ticks.dataset.plate_ids() == []
    index.write_text(json.dumps([{"plate": 17, "name": "Dove", "slug": "dove", "fileName": scan.name}]))
    ticks.tick_with_news()
    assert ticks.dataset.plate_ids() == ["plate-017"]


def test_a_refused_scan_is_listed_until_it_is_gone(ticks):
    torn = ticks.dataset.staging_dir / "birds" / "torn.jpg"
    torn.parent.mkdir()
    torn.write_bytes(b"torn")
    ticks.tick()
    ticks.tick()
    assert [scan.path for scan in read_refused_scans(ticks.dataset)] == ["plates/birds/torn.jpg"]
    torn.unlink()
    ticks.tick()
    assert read_refused_scans(ticks.dataset) == []


def test_scans_refused_by_their_index_are_tried_again_when_it_changes(ticks):
    (scan,) = draw_scans(ticks.dataset.staging_dir, "red")
    index = ticks.dataset.staging_dir / "plates.csv"
    index.write_text(f"file,plate\n{scan.name},Plate 7\n")
    assert "is not a slug" in ticks.tick_without_news()
    index.write_text(f"file,plate\n{scan.name},7\n")
    ticks.tick_with_news()
    assert ticks.dataset.plate_ids() == ["plate-007"]
    assert read_refused_scans(ticks.dataset) == []


def test_an_index_that_changes_later_changes_no_plate(ticks):
    (scan,) = draw_scans(ticks.dataset.staging_dir, "red")
    index = ticks.dataset.staging_dir / "plates.csv"
    index.write_text(f"file,title\n{scan.name},Heron\n")
    ticks.tick_with_news()
    index.write_text(f"file,title\n{scan.name},Grey heron\n")
    assert ticks.tick_without_news() == "no new plates"
    assert ticks.dataset.plate("plate-001").manifest().title == "Heron"


def test_the_cursor_is_a_short_token_and_survives_a_restart(ticks):
    draw_scans(ticks.dataset.staging_dir / "deep" / "folders", "red", "green")
    ticks.tick_with_news()
    first = ticks.cursor
    ticks.tick()
    assert ticks.cursor == first
    assert re.fullmatch("[0-9a-f]{16}", first)


@pytest.mark.parametrize("cursor", [None, "0" * 16, json.dumps({"plates/01-red.png": "1-2"})])
def test_a_cursor_of_another_time_or_release_handles_every_scan_again(ticks, cursor):
    draw_scans(ticks.dataset.staging_dir, "red")
    (ticks.dataset.staging_dir / "torn.jpg").write_bytes(b"torn")
    ticks.tick_with_news()
    ticks.cursor = cursor
    assert "refused torn.jpg: " in ticks.tick_without_news()
    assert ticks.dataset.plate_ids() == ["plate-001"]


def refusals(ticks: Ticks) -> list[tuple[bool, str]]:
    """Each evaluation of the check of refused scans: whether it passed, and what it lists."""
    key = dg.AssetCheckKey(dg.AssetKey(["ledger", "refused_scans"]), "no_scan_is_refused")
    records = ticks.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    entries = [record.event.dagster_event for record in reversed(records) if record.event]
    events = [entry.asset_check_evaluation_data for entry in entries if entry]
    return [(event.passed, str(event.metadata["first"].value)) for event in events]


def test_a_check_lists_refused_scans_until_they_are_gone(ticks):
    ticks.tick()
    assert refusals(ticks) == []
    torn = ticks.dataset.staging_dir / "torn.jpg"
    torn.write_bytes(b"torn")
    for _ in range(3):
        ticks.tick()
    ((passed, shown),) = refusals(ticks)
    assert not passed
    assert shown.startswith("- plates/torn.jpg: is not an image")
    torn.unlink()
    ticks.tick()
    assert refusals(ticks)[1:] == [(True, "none")]


def test_a_scan_named_like_a_markdown_picture_is_shown_as_text(ticks):
    (ticks.dataset.staging_dir / "![a](http:∕∕127.0.0.1:1∕b.png).jpg").write_bytes(b"torn")
    ticks.tick()
    ((_, shown),) = refusals(ticks)
    assert "!\\[a\\](http:∕∕127.0.0.1:1∕b.png)" in shown
