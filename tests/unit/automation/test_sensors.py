"""Sensors and schedule request missing plates once, and stop retrying a plate that keeps failing."""

import datetime
import logging
import shutil
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import INPUT_DATA_VERSION_TAG_PREFIX
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.fake_regions import KEYS, region_registry
from support.made_datasets import Graph, alter_source, draw_scans, make_dataset, run_folders

from atlas_assets.automation.sensors import build_automation
from atlas_assets.automation.settings import AutomationSettings, Nightly, read_settings
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, INPUT_IMAGE_KEY
from atlas_assets.graph.ledgers import build_ledger_assets
from atlas_assets.graph.partitions import add_missing_partitions
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_resources.files.project import SETTINGS_FOLDER
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.resources import DatasetResource

EMBEDDINGS, SEGMENTS = dg.AssetKey(["embeddings", EMBEDDER]), dg.AssetKey(["segments", SEGMENTER])
GROUNDWORK = {INPUT_IMAGE_KEY, HISTOGRAMS_KEY}
ALL = ["plate-001", "plate-002", "plate-003", "plate-004", "plate-005"]
SETTINGS = AutomationSettings(nightly=Nightly(cron="30 3 * * *", timezone="Europe/Berlin"), most_attempts=3)


class Automation:
    """Evaluates the sensors and the schedule, and executes their requests as the daemon does: once per run key."""

    def __init__(self, graph: Graph, registry: Registry):
        self.graph = Graph(graph.dataset, registry, graph.instance)
        self.ledgers = [assets.key for assets in build_ledger_assets(registry)]
        sensors, (self.schedule,) = build_automation(registry, SETTINGS, self.ledgers)
        self.sensors = {sensor.name: sensor for sensor in sensors}
        self.logged: list[str] = []
        if add_missing_partitions(graph.instance, graph.dataset):
            self.graph.materialize("plate/manifest")

    def tick(self, name: str) -> list[dg.RunRequest]:
        """The runs that a sensor requests."""
        result = self._evaluate(name)
        assert isinstance(result, dg.SensorResult), result
        return list(result.run_requests or [])

    def idle_tick(self, name: str) -> str:
        """Why a sensor requests nothing."""
        result = self._evaluate(name)
        assert isinstance(result, dg.SkipReason), result
        return str(result.skip_message)

    def night(self, day: int) -> list[dg.RunRequest]:
        """The runs that the schedule requests on a day of March 2027."""
        answers = self._evaluate_night(day)
        assert all(isinstance(answer, dg.RunRequest) for answer in answers), answers
        return answers

    def idle_night(self, day: int) -> str:
        """Why the schedule requests nothing."""
        (answer,) = self._evaluate_night(day)
        assert isinstance(answer, dg.SkipReason), answer
        return str(answer.skip_message)

    def pass_night(self, day: int) -> None:
        """Executes the runs that the schedule requests on a day, if any."""
        self.execute([answer for answer in self._evaluate_night(day) if isinstance(answer, dg.RunRequest)])

    def _evaluate(self, name: str) -> object:
        resources = {"dataset": DatasetResource(root=str(self.graph.dataset.root))}
        with dg.build_sensor_context(instance=self.graph.instance, resources=resources) as context:
            context.log.addFilter(self._record)
            return self.sensors[name](context)

    def _evaluate_night(self, day: int) -> list[Any]:
        with dg.build_schedule_context(
            instance=self.graph.instance,
            scheduled_execution_time=datetime.datetime(2027, 3, day, 3, 30, tzinfo=datetime.UTC),
            resources={"dataset": DatasetResource(root=str(self.graph.dataset.root))},
        ) as context:
            context.log.addFilter(self._record)
            answers = self.schedule(context)
            assert isinstance(answers, Iterator)
            return list(answers)

    def _record(self, record: logging.LogRecord) -> bool:
        """Keeps each log message of a tick."""
        self.logged.append(record.getMessage())
        return True

    def execute(self, requests: list[dg.RunRequest]) -> list[bool]:
        """Whether each run succeeded. A request whose run key was used before is not executed."""
        return [self._execute(request) for request in requests if not self._is_known(request)]

    def _is_known(self, request: dg.RunRequest) -> bool:
        with_key = dg.RunsFilter(tags={"dagster/run_key": str(request.run_key)})
        return bool(self.graph.instance.get_runs(with_key))

    def _execute(self, request: dg.RunRequest) -> bool:
        job = self.graph.definitions.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.graph.instance,
            asset_selection=list(request.asset_selection or []),
            run_config=request.run_config,
            tags={**request.tags, "dagster/run_key": str(request.run_key)},
            raise_on_error=False,
        ).success


def requested(requests: list[dg.RunRequest]) -> list[tuple[set[dg.AssetKey], list[str]]]:
    """The assets and the plates of each request."""
    found = []
    for request in requests:
        lists = {tuple(op["config"]["plates"]) for op in request.run_config["ops"].values()}
        (plates,) = lists
        found.append((set(request.asset_selection or []), list(plates)))
    return found


def lists_of(request: dg.RunRequest) -> dict[str, list[str]]:
    """The plates of each op of a request."""
    return {op: config["config"]["plates"] for op, config in request.run_config["ops"].items()}


@pytest.fixture
def automation(graph):
    """Five good plates and one fake segmenter."""
    return Automation(graph, fake_registry(fake_spec(SEGMENTER)))


@pytest.fixture
def with_magenta(tmp_path, fakes, instance):
    """Five plates; plate-003 is magenta, which the fake segmenter refuses."""
    dataset = make_dataset(tmp_path, "red", "green", "magenta", "ochre", "teal")
    registry = fake_registry(fake_spec(SEGMENTER))
    return Automation(Graph(dataset, registry, instance), registry)


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
        assert set(statuses) == {"register_new_scans", "fill_missing", "refresh_ledgers", "conditions", "nightly"}
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
