"""What a run that is queued or under way measures is not requested again."""

import shutil

import dagster as dg
import pytest
from support.automated import ALL, GROUNDWORK, SEGMENTS, Automation, lists_of, requested
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, draw_scans

from atlas_assets.graph.partitions import add_missing_partitions
from atlas_resources.files.project import SETTINGS_FOLDER
from atlas_resources.plates.intake.registration import register_scans

RANGE = {"start": 2, "end": 4}


def request_segments(automation: Automation, status: dg.DagsterRunStatus, config: dict, tags: dict[str, str]) -> None:
    """Creates a run over segments with the given status."""
    job = automation.graph.definitions.resolve_implicit_global_asset_job_def()
    automation.graph.instance.create_run_for_job(
        job, status=status, run_config=config, tags=tags, asset_selection=frozenset({SEGMENTS})
    )


class TestRunsUnderWay:
    @pytest.fixture
    def instance(self, tmp_path):
        """Dagster on disk with the project's settings, because a schedule's context opens the instance itself."""
        shutil.copy(SETTINGS_FOLDER / "dagster.yaml", tmp_path)
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            yield instance

    def test_a_killed_run_that_will_be_started_again_is_under_way(self, automation):
        """Otherwise its plates would be requested a second time before the restart."""
        tags = {"atlas/automation": "fill_missing", "dagster/will_retry": "true"}
        request_segments(automation, dg.DagsterRunStatus.FAILURE, {}, tags)
        assert automation.idle_tick("fill_missing") == "automation runs in progress: 1"

    def test_a_killed_run_that_was_started_again_is_not_under_way(self, automation):
        tags = {"atlas/automation": "fill_missing", "dagster/will_retry": "true", "dagster/auto_retry_run_id": "next"}
        request_segments(automation, dg.DagsterRunStatus.FAILURE, {}, tags)
        assert requested(automation.tick("fill_missing")) == [({*GROUNDWORK, SEGMENTS}, ALL)]

    @pytest.mark.parametrize("name", ["fill_missing", "refresh_ledgers"])
    @pytest.mark.parametrize(
        "status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    )
    def test_nothing_is_requested_while_a_run_of_automation_is_unfinished(self, automation, name, status):
        job = automation.graph.definitions.resolve_implicit_global_asset_job_def()
        automation.graph.instance.create_run_for_job(job, status=status, tags={"atlas/automation": "fill_missing"})
        assert automation.idle_tick(name).endswith("runs in progress: 1")

    @pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
    def test_a_run_that_is_over_blocks_nothing(self, automation, status):
        job = automation.graph.definitions.resolve_implicit_global_asset_job_def()
        automation.graph.instance.create_run_for_job(job, status=status, tags={"atlas/automation": "fill_missing"})
        assert requested(automation.tick("fill_missing")) == [({*GROUNDWORK, SEGMENTS}, ALL)]

    def test_ledgers_of_a_library_where_nothing_has_run_wait_for_its_plates(self, dataset, fakes, instance):
        add_missing_partitions(instance, dataset)
        registry = fake_registry(fake_spec(SEGMENTER))
        untouched = Automation(Graph(dataset, registry, instance), registry)
        assert instance.get_runs() == []
        assert untouched.idle_tick("refresh_ledgers") == "plates whose runs are about to be requested: 5"

    def test_ledgers_wait_for_a_persons_run(self, automation):
        job = automation.graph.definitions.resolve_implicit_global_asset_job_def()
        automation.graph.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert automation.idle_tick("refresh_ledgers") == "runs in progress: 1"

    def test_a_persons_own_run_blocks_nothing(self, automation):
        job = automation.graph.definitions.resolve_implicit_global_asset_job_def()
        automation.graph.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert requested(automation.tick("fill_missing")) == [({*GROUNDWORK, SEGMENTS}, ALL)]

    @pytest.mark.parametrize(
        ("config", "tags"),
        [
            ({"ops": {f"segments__{SEGMENTER}": {"config": {"plates": ["plate-002", "plate-004"]}}}}, {}),
            (
                {},
                {"dagster/asset_partition_range_start": "plate-002", "dagster/asset_partition_range_end": "plate-004"},
            ),
            ({}, {"dagster/partition": "plate-004"}),
        ],
    )
    def test_plates_of_a_persons_unfinished_run_are_not_requested(self, automation, config, tags):
        request_segments(automation, dg.DagsterRunStatus.STARTED, config, tags)
        (request,) = automation.tick("fill_missing")
        of_segments = lists_of(request)[f"segments__{SEGMENTER}"]
        assert lists_of(request)["groundwork"] == ALL, "only plates of the same asset are left out"
        assert "plate-004" not in of_segments
        assert {"plate-001", "plate-005"} <= set(of_segments)

    def test_the_schedule_does_not_request_plates_of_unfinished_runs(self, automation):
        listed = {"ops": {f"segments__{SEGMENTER}": {"config": {"plates": ["plate-002", "plate-004"]}}}}
        request_segments(automation, dg.DagsterRunStatus.STARTED, listed, {"atlas/automation": "fill_missing"})
        (request,) = automation.night(1)
        assert lists_of(request) == {
            "groundwork": ALL,
            f"segments__{SEGMENTER}": ["plate-001", "plate-003", "plate-005"],
        }

    def test_the_run_over_new_scans_is_tagged_as_automation(self, automation, tmp_path):
        """Otherwise its groundwork would be requested a second time while it waits in the queue."""
        list(register_scans(automation.graph.dataset, draw_scans(tmp_path / "late", "plum")))
        (request,) = automation.tick("register_new_scans")
        assert "atlas/automation" in request.tags
