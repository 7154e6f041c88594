"""The sensors and the nightly schedule over a small dataset, and what they request."""

import datetime
import logging
from collections.abc import Iterator
from typing import Any

import dagster as dg

from atlas_assets.automation.sensors import build_automation
from atlas_assets.automation.settings import AutomationSettings, Nightly
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, INPUT_IMAGE_KEY
from atlas_assets.graph.ledgers import build_ledger_assets
from atlas_assets.graph.partitions import add_missing_partitions
from atlas_resources.instruments.registry import Registry
from atlas_resources.resources import DatasetResource
from support.fake_instruments import EMBEDDER, SEGMENTER
from support.made_datasets import Graph

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
