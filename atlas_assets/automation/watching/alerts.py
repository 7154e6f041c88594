"""The sensors `alert_by_webhook` and `alert_by_mail`: what failed since the last message. Both are off by default.

Not by `run_failure_sensor`: Dagster (1.13) moves its cursor past a failure whose function raised, so that a webhook
that is down for a minute loses it. These keep a cursor each, and move it once the message was taken.
"""

from collections.abc import Callable, Sequence

import dagster as dg

from atlas_assets.automation.watching.channels import send_mail, send_to_webhook
from atlas_assets.automation.watching.failures import failed_runs, newest_failure, red_checks
from atlas_assets.automation.watching.messages import Message
from atlas_assets.automation.watching.settings import Alerts
from atlas_resources.files.contract import Contract

SECONDS = 30


class Reported(Contract):
    """The cursor of a sensor: what was reported.

    Attributes:
        failure: storage id of the last failure of a run.
        red: names of checks that were red then.
    """

    failure: int
    red: tuple[str, ...]


def build_alert_sensors(settings: Alerts) -> list[dg.SensorDefinition]:
    """The two sensors, each on if its section of `automation.yaml` says so."""
    webhook, mail = settings.webhook, settings.mail
    return [
        _build(
            "alert_by_webhook",
            "as JSON to a webhook",
            webhook.is_on,
            settings,
            lambda one: send_to_webhook(one, webhook),
        ),
        _build("alert_by_mail", "by mail", mail.is_on, settings, lambda one: send_mail(one, mail)),
    ]


def _build(
    name: str, how: str, is_on: bool, settings: Alerts, deliver: Callable[[Message], None]
) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        default_status=dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=SECONDS,
        description=f"Reports runs that failed for good, and checks that turned red, {how}: see `alerts` in "
        "automation.yaml. Begins with what fails after it is switched on. A message that is not taken fails the tick, "
        "and is sent again by the next.",
    )
    def alert(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return report(context.instance, context.cursor, _check_keys(context), settings.ui_url, deliver)

    return alert


def report(
    instance: dg.DagsterInstance,
    cursor: str | None,
    checks: Sequence[dg.AssetCheckKey],
    ui_url: str,
    deliver: Callable[[Message], None],
) -> dg.SensorResult:
    """Delivers one message about what failed since the cursor; returns the next cursor.

    Args:
        instance: where runs and verdicts are recorded.
        cursor: of the last tick; None at the first, which reports nothing.
        checks: the checks to look at.
        ui_url: address of the Dagster UI.
        deliver: sends a message. What it raises fails the tick, and the cursor stays.
    """
    red = red_checks(instance, checks)
    if cursor is None:
        begun = Reported(failure=newest_failure(instance), red=tuple(sorted(red)))
        return dg.SensorResult(skip_reason="reports what fails from now on", cursor=begun.model_dump_json())
    known = Reported.model_validate_json(cursor)
    runs, newest = failed_runs(instance, known.failure)
    turned = [check for name, check in sorted(red.items()) if name not in known.red]
    reported = Reported(failure=newest, red=tuple(sorted(red))).model_dump_json()
    if not runs and not turned:
        return dg.SensorResult(skip_reason="nothing failed", cursor=reported)
    message = Message(runs, turned, ui_url)
    deliver(message)
    return dg.SensorResult(skip_reason=f"reported: {message.subject}", cursor=reported)


def _check_keys(context: dg.SensorEvaluationContext) -> list[dg.AssetCheckKey]:
    """The checks of the code location; none where a sensor is evaluated without one."""
    repository = context.repository_def
    return sorted(repository.asset_graph.asset_check_keys) if repository else []
