"""`automation.yaml`: whether automation is on, when the nightly schedule runs, and how often a plate may fail."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from atlas_assets.automation.watching.settings import Alerts
from atlas_resources.files.contract import Contract
from atlas_resources.files.project import settings_path
from atlas_resources.files.yaml_files import require_yaml

if TYPE_CHECKING:
    from dagster import DefaultScheduleStatus, DefaultSensorStatus


def _schedule_status(*, is_on: bool) -> "DefaultScheduleStatus":
    """Imports Dagster, which takes longer than what `atlas status` does."""
    from dagster import DefaultScheduleStatus

    return DefaultScheduleStatus.RUNNING if is_on else DefaultScheduleStatus.STOPPED


class Nightly(Contract):
    """When the nightly schedule runs."""

    cron: str
    timezone: str


class VerificationTimes(Contract):
    """When the dataset is verified.

    Attributes:
        is_on: whether the two schedules are on unless the UI says otherwise.
        quick_cron: for a quick verification.
        deep_cron: for a deep one.
    """

    is_on: bool = False
    quick_cron: str = "30 4 * * *"
    deep_cron: str = "0 5 1 * *"

    def schedule_status(self) -> "DefaultScheduleStatus":
        """Whether the schedules are on."""
        return _schedule_status(is_on=self.is_on)


class NightlyReproduction(Contract):
    """When a sample of sealed results is repeated.

    Attributes:
        is_on: whether the schedule is on unless the UI says otherwise.
        cron: when; the time zone is that of the nightly schedule.
        sample: number of results, each of one plate.
    """

    is_on: bool = False
    cron: str = "0 4 * * *"
    sample: int = Field(default=5, gt=0)

    def schedule_status(self) -> "DefaultScheduleStatus":
        """Whether the schedule is on."""
        return _schedule_status(is_on=self.is_on)


class NightlyPage(Contract):
    """When the page is made again.

    Attributes:
        is_on: whether the schedule is on unless the UI says otherwise.
        cron: when; the time zone is that of the nightly schedule.
    """

    is_on: bool = False
    cron: str = "30 5 * * *"

    def schedule_status(self) -> "DefaultScheduleStatus":
        """Whether the schedule is on."""
        return _schedule_status(is_on=self.is_on)


class AutomationSettings(Contract):
    """`automation.yaml`.

    Attributes:
        switch: what is on unless the UI says otherwise: nothing, the sensors and the schedule, or Dagster's conditions.
        nightly: when the nightly schedule runs.
        most_attempts: after as many failures, a plate is left alone.
        verification: when the dataset is verified.
        rebuild_ledgers_hours: ledgers are rebuilt when they are older, also if nothing seems to have changed.
        reproduction: the sample of sealed results that is repeated and compared.
        page: the page that is made again.
        alerts: to whom failures are reported.
        workers: over how many runs missing plates are spread.
    """

    switch: Literal["off", "sensors", "conditions"] = "off"
    nightly: Nightly
    most_attempts: int = Field(gt=0)
    verification: VerificationTimes = VerificationTimes()
    rebuild_ledgers_hours: int = Field(default=24, gt=0)
    reproduction: NightlyReproduction = NightlyReproduction()
    page: NightlyPage = NightlyPage()
    alerts: Alerts = Alerts()
    workers: int = Field(default=1, gt=0)

    def sensor_status(self, *switches: str) -> "DefaultSensorStatus":
        """Whether a sensor is on at these positions of the switch."""
        from dagster import DefaultSensorStatus

        return DefaultSensorStatus.RUNNING if self.switch in switches else DefaultSensorStatus.STOPPED

    def schedule_status(self) -> "DefaultScheduleStatus":
        """Whether the nightly schedule is on. The conditions have a night of their own."""
        return _schedule_status(is_on=self.switch == "sensors")


def read_settings(path: Path | None = None) -> AutomationSettings:
    """The settings; by default the project's own file, else the packaged one.

    Raises:
        ValueError: names file, field, expected and found.
    """
    return require_yaml(path or settings_path("automation.yaml"), AutomationSettings)
