"""Sensors and the nightly schedule: missing plates, stale ledgers, retries. All are off until switched on.

The sensors are level-triggered: each tick reads the plates' own files and requests what is missing. A work list is
requested once, by its run key, so a run that dies at once is not requested for ever; the nightly schedule requests it
again.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence

import dagster as dg

from atlas_assets.automation.new_scans import register_new_scans
from atlas_assets.automation.settings import AutomationSettings
from atlas_assets.automation.standings import Standing, read_standings
from atlas_assets.automation.under_way import automation_runs, plates_under_way
from atlas_assets.automation.work_lists import AUTOMATION_TAG, WorkList, run_config_of, tags_of, work_lists
from atlas_assets.graph.partitions import PLATES_NAME, missing_partitions
from atlas_assets.graph.plates import MANIFEST_KEY, untried_plates
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource

# In the run's own process. Dagster's default, a process for each step, spends most of the time of short steps on
# starting; and if a run has only one step, Dagster does not count that step's killed process as a killed run.
ONE_PROCESS = {"execution": {"config": {"in_process": {}}}}


def _key_of(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _config_of(work: WorkList) -> dict:
    """The plates; a single step runs in the run's own process."""
    config = run_config_of(work)
    return config | ONE_PROCESS if len(config["ops"]) == 1 else config


def _requests(standings: Sequence[Standing], most_attempts: int, occasion: str) -> Iterator[dg.RunRequest]:
    """A run per work list. The same list for the same versions on the same occasion is requested once."""
    version_of = {key: standing.version for standing in standings for key in standing.keys}
    for work in work_lists(standings, most_attempts):
        versions = [(key.to_user_string(), version_of[key]) for key in work.keys]
        yield dg.RunRequest(
            run_key=_key_of(occasion, versions, work.plate_ids),
            asset_selection=list(work.keys),
            run_config=_config_of(work),
            tags={**tags_of(work), AUTOMATION_TAG: occasion},
        )


def _manifests_first(plate_ids: Sequence[str]) -> dg.RunRequest:
    """A run over the manifests, which everything else depends on. It has its own run, since a bad plate fails it."""
    work = WorkList((MANIFEST_KEY,), tuple(plate_ids))
    return dg.RunRequest(
        run_key=_key_of("manifests", work.plate_ids),
        asset_selection=[MANIFEST_KEY],
        run_config=_config_of(work),
        tags={**tags_of(work), AUTOMATION_TAG: "fill_missing"},
    )


def _requestable(instance: dg.DagsterInstance, dataset: Dataset, standings: Sequence[Standing]) -> list[Standing]:
    """Standings without plates that a run is about to make, and those that Dagster has no partition for yet."""
    unknown, asked = set(missing_partitions(instance, dataset)), plates_under_way(instance)
    return [standing.without(unknown | asked.get(standing.keys[0], set())) for standing in standings]


def _build_fill_missing(registry: Registry) -> dg.SensorDefinition:
    @dg.sensor(
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=60,
        description="Requests what is missing: groundwork and every active instrument, in few runs over just the "
        "missing plates. The nightly schedule retries plates that failed. "
        f"Active: {', '.join(sorted(registry.active))}.",
    )
    def fill_missing(context: dg.SensorEvaluationContext, dataset: DatasetResource) -> dg.SensorResult | dg.SkipReason:
        waiting_for = automation_runs(context.instance)
        if waiting_for:
            return dg.SkipReason(f"{waiting_for} runs are in progress")
        untried = untried_plates(context.instance, context.instance.get_dynamic_partitions(PLATES_NAME))
        if untried:
            return dg.SensorResult(run_requests=[_manifests_first(untried)])
        opened = dataset.open()
        standings = _requestable(context.instance, opened, read_standings(opened, registry.active_instruments))
        requests = list(_requests(standings, 1, "fill_missing"))
        failed = sum(len(standing.failed) for standing in standings)
        if not requests:
            return dg.SkipReason(f"nothing is missing; {failed} failures wait for the nightly schedule")
        return dg.SensorResult(run_requests=requests)

    return fill_missing


def _build_refresh_ledgers(registry: Registry, ledgers: Sequence[dg.AssetKey]) -> dg.SensorDefinition:
    @dg.sensor(
        target=dg.AssetSelection.assets(*ledgers),
        minimum_interval_seconds=60,
        description="Rebuilds ledgers and catalogue when the plates' results have changed and no run is in progress.",
    )
    def refresh_ledgers(
        context: dg.SensorEvaluationContext, dataset: DatasetResource
    ) -> dg.SensorResult | dg.SkipReason:
        waiting_for = automation_runs(context.instance)
        if waiting_for:
            return dg.SkipReason(f"{waiting_for} runs are in progress")
        reason = why_behind(dataset.open(), registry)
        if not reason:
            return dg.SkipReason("the ledgers are up to date")
        context.log.info(reason)
        # Requested once per reason since the catalogue was last built: a refresh that fails is not requested for ever.
        built = context.instance.get_latest_materialization_event(ledgers[-1])
        request = dg.RunRequest(
            run_key=_key_of(reason, built and built.timestamp),
            asset_selection=list(ledgers),
            run_config=ONE_PROCESS,
            tags={AUTOMATION_TAG: "refresh_ledgers"},
        )
        return dg.SensorResult(run_requests=[request])

    return refresh_ledgers


def _build_nightly(registry: Registry, settings: AutomationSettings) -> dg.ScheduleDefinition:
    @dg.schedule(
        cron_schedule=settings.nightly.cron,
        execution_timezone=settings.nightly.timezone,
        target=dg.AssetSelection.all(),
        description="Requests all that is missing, failures included, up to "
        f"{settings.most_attempts} attempts a plate. Leaves out what a run in progress is about to make.",
    )
    def nightly(
        context: dg.ScheduleEvaluationContext, dataset: DatasetResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        opened = dataset.open()
        standings = _requestable(context.instance, opened, read_standings(opened, registry.active_instruments))
        occasion = f"nightly {context.scheduled_execution_time:%Y-%m-%d %H:%M}"
        requests = list(_requests(standings, settings.most_attempts, occasion))
        failed = [plate for standing in standings for plate in standing.failed]
        given_up = [plate for plate in failed if plate.is_left_alone(settings.most_attempts)]
        for plate in given_up:
            context.log.warning(f"{plate.plate_id} is left alone after {plate.attempts} attempts: {plate.reason}")
        yield from requests or [dg.SkipReason(f"nothing is missing; {len(given_up)} failures are left alone")]

    return nightly


def build_automation(
    registry: Registry, settings: AutomationSettings, ledgers: Sequence[dg.AssetKey]
) -> tuple[list[dg.SensorDefinition], list[dg.ScheduleDefinition]]:
    """The sensors and the schedule over the active instruments.

    Args:
        registry: the instruments; only active ones are acted on.
        settings: when, and how often a plate may fail.
        ledgers: the ledgers, and last the catalogue.
    """
    sensors = [register_new_scans, _build_fill_missing(registry), _build_refresh_ledgers(registry, ledgers)]
    return sensors, [_build_nightly(registry, settings)]
