"""The job `verify` and its two schedules. Both are off until they are switched on."""

import dagster as dg

from atlas_assets.automation.settings import AutomationSettings
from atlas_assets.graph.checks.verification import CHECK_NAME, verification_config
from atlas_assets.graph.executor import ONE_PROCESS
from atlas_assets.graph.ledgers import CATALOGUE_KEY
from atlas_resources.verification.reading import LEVELS, Level

VERIFY_JOB = "verify"


def build_verify_job():
    """The job that runs the check `library_is_whole`, and nothing else."""
    return dg.define_asset_job(
        VERIFY_JOB,
        selection=dg.AssetSelection.checks(dg.AssetCheckKey(CATALOGUE_KEY, CHECK_NAME)),
        description="Verifies every file of the dataset. In the launchpad, `level` says how thoroughly.",
    )


def build_verify_schedules(settings: AutomationSettings) -> list[dg.ScheduleDefinition]:
    """Quick verification every night and deep verification every month."""
    crons: dict[Level, str] = {"quick": settings.verification.quick_cron, "deep": settings.verification.deep_cron}
    return [
        dg.ScheduleDefinition(
            name=f"verify_{level}",
            job_name=VERIFY_JOB,
            cron_schedule=cron,
            execution_timezone=settings.nightly.timezone,
            run_config={**ONE_PROCESS, **verification_config(level)},
            default_status=settings.verification.schedule_status(),
            description=f"{LEVELS[level]} The check {CHECK_NAME} of the catalogue shows what was found.",
        )
        for level, cron in crons.items()
    ]
