"""The schedule of the sample of results is off as packaged, and draws by its date where it is on."""

import datetime

import dagster as dg

from atlas_assets.automation.schedules.reproduction import build_reproduction_schedule
from atlas_assets.automation.settings import AutomationSettings, Nightly, read_settings
from atlas_assets.graph.reproduction import build_reproduction_job, run_config

DAY = datetime.date(2027, 3, 1)
ON = AutomationSettings.model_validate(
    {
        "nightly": Nightly(cron="30 3 * * *", timezone="Europe/Berlin"),
        "most_attempts": 3,
        "reproduction": {"is_on": True, "cron": "10 5 * * *", "sample": 7},
    }
)


def test_it_is_off_as_packaged(graph):
    schedule = graph.definitions.resolve_schedule_def("reproduce_nightly")
    assert not read_settings().reproduction.is_on
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED


def test_switched_on_it_draws_by_its_date(graph):
    schedule = build_reproduction_schedule(build_reproduction_job(graph.registry), ON)
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("10 5 * * *", "Europe/Berlin")
    when = datetime.datetime(2027, 3, 1, 5, 10, tzinfo=datetime.UTC)
    with dg.build_schedule_context(instance=graph.instance, scheduled_execution_time=when) as context:
        (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.run_config == run_config(7, DAY)


def test_settings_without_the_field_are_off():
    settings = AutomationSettings.model_validate({"nightly": ON.nightly, "most_attempts": 3})
    assert (settings.reproduction.is_on, settings.reproduction.sample) == (False, 5)
