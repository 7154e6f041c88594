"""The schedule of the job `materialise_page`. It is off until it is switched on."""

import dagster as dg

from atlas_assets.automation.settings import AutomationSettings
from atlas_assets.graph.published.page import PAGE_KEY
from atlas_resources.page.state import is_page, why_behind
from atlas_resources.resources import DatasetResource

JOB = "materialise_page"


def build_page_schedule(settings: AutomationSettings) -> dg.ScheduleDefinition:
    """The schedule that has the page made again once the catalogue was built since."""
    asked = settings.page

    @dg.schedule(
        job_name=JOB,
        cron_schedule=asked.cron,
        default_status=asked.schedule_status(),
        execution_timezone=settings.nightly.timezone,
        description="Makes the page if the catalogue was built since it was made. It is not made with each refresh of "
        "the ledgers, so that a page does not change while somebody reads it.",
    )
    def page_nightly(context: dg.ScheduleEvaluationContext, dataset: DatasetResource) -> dg.RunRequest | dg.SkipReason:
        opened = dataset.open()
        if not opened.catalogue_path.is_file():
            return dg.SkipReason("there is no catalogue yet")
        if is_page(opened.page_dir) and not why_behind(opened):
            return dg.SkipReason("the page shows the present catalogue")
        return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%d %H:%M}", asset_selection=[PAGE_KEY])

    return page_nightly
