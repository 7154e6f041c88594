"""Sensors and the nightly schedule: missing plates, stale ledgers, retries. Off unless switched on.

The sensors are level-triggered: each tick reads the plates' own files and requests what is missing. The run key makes
Dagster run a work list once, so that a run that always dies is not started for ever. The nightly schedule requests it
again.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence

import dagster as dg

from atlas_assets.automation.conditions import build_condition_sensor
from atlas_assets.automation.new_scans import build_new_scans_sensor
from atlas_assets.automation.settings import AutomationSettings
from atlas_assets.automation.standings import Standing, read_standings
from atlas_assets.automation.under_way import (
    automation_runs,
    plates_under_way,
    seconds_since_last_run,
    unfinished_runs,
)
from atlas_assets.automation.watching.alerts import build_alert_sensors
from atlas_assets.automation.watching.library import build_library_metrics_sensor
from atlas_assets.automation.work_lists import AUTOMATION_TAG, WorkList, run_config_of, tags_of, work_lists
from atlas_assets.graph.executor import ONE_PROCESS
from atlas_assets.graph.partitions import (
    Partitioning,
    Partitions,
    known_plates,
    missing_partitions,
    read_partitioning,
)
from atlas_assets.graph.plates import MANIFEST_KEY, untried_plates
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.left_out import find_left_out
from atlas_resources.models.servers.running import why_waiting
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.memory import one_look
from atlas_resources.resources import DatasetResource

TICK_SECONDS = 15
QUIET_SECONDS = 120  # after this time without a run, ledgers are refreshed although plates are missing


def _key_of(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _config_of(work: WorkList) -> dict:
    """The run configuration of a work list. A single step runs in the run's own process.

    Dagster does not count the killed process of a run's only step as a killed run, and would not start it again.
    """
    config = run_config_of(work)
    return config | ONE_PROCESS if len(config["ops"]) == 1 else config


def _requests(
    standings: Sequence[Standing], most_attempts: int, workers: int, occasion: str, partitions: Partitions
) -> Iterator[dg.RunRequest]:
    """One request per work list. The run key is a hash of the occasion, the assets' versions and the plates."""
    version_of = {key: standing.version for standing in standings for key in standing.keys}
    for work in work_lists(standings, most_attempts, workers):
        versions = [(key.to_user_string(), version_of[key]) for key in work.keys]
        yield dg.RunRequest(
            run_key=_key_of(occasion, versions, list(work.plates.values())),
            asset_selection=list(work.keys),
            run_config=_config_of(work),
            tags={**tags_of(work.on(partitions)), AUTOMATION_TAG: occasion},
        )


def _manifests_first(plate_ids: Sequence[str], partitions: Partitions) -> dg.RunRequest:
    """A run over the manifests, on which all else depends. It is a separate run, because a bad plate fails it."""
    work = WorkList.of([MANIFEST_KEY], plate_ids).on(partitions)
    return dg.RunRequest(
        run_key=_key_of("manifests", work.plate_ids),
        asset_selection=[MANIFEST_KEY],
        run_config=_config_of(work),
        tags={**tags_of(work), AUTOMATION_TAG: "fill_missing"},
    )


def _runnable(registry: Registry) -> list[Instrument]:
    """The active instruments whose weights are on disk and whose servers run. The others cannot be materialised now."""
    return [instrument for instrument in registry.active_instruments if not why_waiting(instrument)]


def _waiting_for_weights(registry: Registry) -> str:
    """Which active instruments wait for weights or a server, for the end of a skip reason; empty if none does."""
    reasons = {one.key: reason for one in registry.active_instruments if (reason := why_waiting(one))}
    return "".join(f"; {key} waits: {reason}" for key, reason in reasons.items())


def _requestable(
    instance: dg.DagsterInstance, dataset: Dataset, standings: Sequence[Standing], partitions: Partitions
) -> list[Standing]:
    """The standings without the plates that an unfinished run covers and those without a partition."""
    unknown, asked = set(missing_partitions(instance, dataset, partitions)), plates_under_way(instance, partitions)
    return [standing.without(unknown | asked.get(standing.keys[0], set())) for standing in standings]


def _why_unsettled(instance: dg.DagsterInstance, dataset: Dataset, registry: Registry, partitions: Partitions) -> str:
    """What will change the plates' results soon; empty if nothing will, so that ledgers are built once, at the end."""
    unfinished = sum(1 for _ in unfinished_runs(instance))
    if unfinished:
        return f"runs in progress: {unfinished}"
    if seconds_since_last_run(instance) > QUIET_SECONDS:  # nobody asks for what is missing
        return ""
    plate_ids = set(missing_partitions(instance, dataset, partitions))
    standings = _requestable(instance, dataset, read_standings(dataset, _runnable(registry)), partitions)
    plate_ids |= {plate_id for work in work_lists(standings, 1) for plate_id in work.plate_ids}
    return f"plates whose runs are about to be requested: {len(plate_ids)}" if plate_ids else ""


def _build_fill_missing(
    registry: Registry, settings: AutomationSettings, partitioning: Partitioning
) -> dg.SensorDefinition:
    @dg.sensor(
        default_status=settings.sensor_status("sensors"),
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=TICK_SECONDS,
        description="Requests groundwork and every active instrument for the plates that are missing, in few runs. "
        "The nightly schedule retries plates that failed. "
        f"Active: {', '.join(sorted(registry.active))}.",
    )
    def fill_missing(context: dg.SensorEvaluationContext, dataset: DatasetResource) -> dg.SensorResult | dg.SkipReason:
        unfinished = automation_runs(context.instance)
        if unfinished:
            return dg.SkipReason(f"automation runs in progress: {unfinished}")
        opened = dataset.open()
        partitions = partitioning.of(opened)
        untried = untried_plates(context.instance, known_plates(context.instance, partitions), partitions)
        if untried:
            return dg.SensorResult(run_requests=[_manifests_first(untried, partitions)])
        standings = _requestable(context.instance, opened, read_standings(opened, _runnable(registry)), partitions)
        requests = list(_requests(standings, 1, settings.workers, "fill_missing", partitions))
        failed = sum(len(standing.failed) for standing in standings)
        if not requests:
            waiting = _waiting_for_weights(registry)
            return dg.SkipReason(f"nothing is missing; failed plates left to the nightly schedule: {failed}{waiting}")
        return dg.SensorResult(run_requests=requests)

    return fill_missing


def _refresh_request(
    context: dg.SensorEvaluationContext,
    opened: Dataset,
    registry: Registry,
    settings: AutomationSettings,
    ledgers: Sequence[dg.AssetKey],
) -> dg.SensorResult | dg.SkipReason:
    """The run that brings the ledgers up to date, or why none is requested."""
    built = context.instance.get_latest_materialization_event(ledgers[-1])
    age_hours = (time.time() - built.timestamp) / 3600 if built else 0
    reason = why_behind(opened, registry, settings.most_attempts)
    if not reason and age_hours > settings.rebuild_ledgers_hours:
        reason = f"older than {settings.rebuild_ledgers_hours} hours: compares every sealed file with its digest"
    if not reason:
        left_out = [f"left out: {fault}" for fault in find_left_out(opened)]
        return dg.SkipReason("\n".join(["the ledgers are up to date", *left_out]))
    context.log.info(reason)
    # One run per reason since the catalogue was last built, so that a failing refresh is not repeated for ever.
    request = dg.RunRequest(
        run_key=_key_of(reason, built and built.timestamp),
        asset_selection=list(ledgers),
        run_config=ONE_PROCESS,
        tags={AUTOMATION_TAG: "refresh_ledgers"},
    )
    return dg.SensorResult(run_requests=[request])


def _build_refresh_ledgers(
    registry: Registry, settings: AutomationSettings, ledgers: Sequence[dg.AssetKey], partitioning: Partitioning
) -> dg.SensorDefinition:
    @dg.sensor(
        default_status=settings.sensor_status("sensors"),
        target=dg.AssetSelection.assets(*ledgers),
        minimum_interval_seconds=TICK_SECONDS,
        description="Rebuilds ledgers and catalogue when the plates' results have changed and work has settled: no run "
        "is in progress, and none is about to be requested.",
    )
    def refresh_ledgers(
        context: dg.SensorEvaluationContext, dataset: DatasetResource
    ) -> dg.SensorResult | dg.SkipReason:
        opened = dataset.open()
        with one_look(opened.root):  # what follows asks about the same files three times
            if unsettled := _why_unsettled(context.instance, opened, registry, partitioning.of(opened)):
                return dg.SkipReason(unsettled)
            return _refresh_request(context, opened, registry, settings, ledgers)

    return refresh_ledgers


def _build_nightly(
    registry: Registry, settings: AutomationSettings, partitioning: Partitioning
) -> dg.ScheduleDefinition:
    @dg.schedule(
        cron_schedule=settings.nightly.cron,
        default_status=settings.schedule_status(),
        execution_timezone=settings.nightly.timezone,
        target=dg.AssetSelection.all(),
        description="Requests all missing plates, including failed ones, up to "
        f"{settings.most_attempts} attempts per plate. Skips plates that an unfinished run covers.",
    )
    def nightly(
        context: dg.ScheduleEvaluationContext, dataset: DatasetResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        opened = dataset.open()
        partitions = partitioning.of(opened)
        standings = _requestable(context.instance, opened, read_standings(opened, _runnable(registry)), partitions)
        occasion = f"nightly {context.scheduled_execution_time:%Y-%m-%d %H:%M}"
        requests = list(_requests(standings, settings.most_attempts, settings.workers, occasion, partitions))
        failed = [plate for standing in standings for plate in standing.failed]
        given_up = [plate for plate in failed if plate.is_given_up(settings.most_attempts)]
        for plate in given_up:
            context.log.warning(
                f"{plate.plate_id} is not retried after {plate.attempts} failed attempts: {plate.reason}"
            )
        yield from requests or [
            dg.SkipReason(f"nothing is missing; failed plates that are not retried: {len(given_up)}")
        ]

    return nightly


def build_automation(
    registry: Registry, settings: AutomationSettings, ledgers: Sequence[dg.AssetKey]
) -> tuple[list[dg.SensorDefinition], list[dg.ScheduleDefinition]]:
    """The sensors and the schedule over the active instruments.

    Args:
        registry: the instruments; only active ones are requested.
        settings: when the schedule runs, and how often a plate may fail.
        ledgers: the ledgers' keys, the catalogue's last.
    """
    partitioning = read_partitioning()
    sensors = [
        build_new_scans_sensor(settings, partitioning),
        _build_fill_missing(registry, settings, partitioning),
        _build_refresh_ledgers(registry, settings, ledgers, partitioning),
        build_condition_sensor(settings),
        build_library_metrics_sensor(),
        *build_alert_sensors(settings.alerts),
    ]
    return sensors, [_build_nightly(registry, settings, partitioning)]
