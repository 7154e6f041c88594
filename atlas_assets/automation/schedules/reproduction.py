"""The schedule of the job `reproduce_sample`. It is off until it is switched on."""

import dagster as dg

from atlas_assets.automation.settings import AutomationSettings
from atlas_assets.graph.reproduction import run_config


def build_reproduction_schedule(job: dg.JobDefinition, settings: AutomationSettings) -> dg.ScheduleDefinition:
    """The schedule that has a sample of sealed results repeated and compared, another one each night."""
    asked = settings.reproduction

    @dg.schedule(
        job=job,
        cron_schedule=asked.cron,
        default_status=asked.schedule_status(),
        execution_timezone=settings.nightly.timezone,
        description=f"Repeats {asked.sample} sealed results from their own manifests, drawn by the date, and compares "
        "them. The check `reproductions_agree` warns of what is different.",
    )
    def reproduce_nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        time = context.scheduled_execution_time
        config = run_config(asked.sample, time.date())
        return dg.RunRequest(run_key=f"{time:%Y-%m-%d %H:%M}", run_config=config)

    return reproduce_nightly
