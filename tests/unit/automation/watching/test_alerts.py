"""Failed runs and red checks are reported once each, with what failed and how to try again; nothing is lost."""

import time
from collections.abc import Callable

import dagster as dg
import pytest
from support.alert_receivers import Webhook, webhook
from support.automated import Automation
from support.fake_instruments import SEGMENTER
from support.made_datasets import alter_source

from atlas_assets.automation.watching.alerts import build_alert_sensors, report
from atlas_assets.automation.watching.channels import send_to_webhook
from atlas_assets.automation.watching.messages import Message
from atlas_assets.automation.watching.settings import Alerts, AlertsMisstated, WebhookAlerts
from atlas_resources.watching.sending import NotSent

UI = "http://127.0.0.1:3000"
SOUND = dg.AssetCheckKey(dg.AssetKey(["segments", SEGMENTER]), "sound")
COMMAND = f"atlas run 'key:\"segments/{SEGMENTER}\"' --plates plate-003"


class Ticks:
    """Ticks of a sensor, whose cursor moves as the daemon moves it: not if the tick fails."""

    def __init__(self, automation: Automation, deliver: Callable[[Message], None]):
        self.automation = automation
        self.deliver = deliver
        self.cursor: str | None = None

    def tick(self) -> str:
        result = report(self.automation.graph.instance, self.cursor, [SOUND], UI, self.deliver)
        self.cursor = result.cursor
        return str(result.skip_reason and result.skip_reason.skip_message)


@pytest.fixture
def failing(with_magenta):
    """Five plates, one of which the segmenter refuses, and the messages that were sent."""
    sent: list[Message] = []
    ticks = Ticks(with_magenta, sent.append)
    return ticks, sent


def measure(automation: Automation) -> None:
    assert automation.execute(automation.tick("fill_missing")) == [False]


def test_what_failed_before_the_first_tick_is_not_reported(failing):
    ticks, sent = failing
    measure(ticks.automation)
    assert ticks.tick() == "reports what fails from now on"
    assert (ticks.tick(), sent) == ("nothing failed", [])


def test_a_failed_run_is_reported_once_with_its_plates_reasons_and_command(failing):
    ticks, sent = failing
    ticks.tick()
    measure(ticks.automation)
    assert ticks.tick() == "reported: Atlas: 1 run failed"
    ((run,),) = [message.runs for message in sent]
    assert [(plate.plate_id, plate.asset) for plate in run.plates] == [("plate-003", f"segments/{SEGMENTER}")]
    assert run.plates[0].reason == "ArithmeticError (compute): magenta cannot be measured"
    assert (run.plate_count, run.requested_by, run.retry) == (1, "fill_missing", COMMAND)
    assert f"{UI}/runs/{run.run_id}" in sent[0].text()
    assert ticks.tick() == "nothing failed"


def test_a_run_that_dagster_starts_again_is_not_reported(failing):
    ticks, sent = failing
    ticks.tick()
    measure(ticks.automation)
    instance = ticks.automation.graph.instance
    (run,) = [run for run in instance.get_runs() if run.is_failure]
    instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    assert (ticks.tick(), sent) == ("nothing failed", [])


def test_a_check_is_reported_when_it_turns_red_and_again_only_after_it_was_green(graph):
    automation = Automation(graph, graph.registry)
    sent: list[Message] = []
    ticks = Ticks(automation, sent.append)
    ticks.tick()
    automation.execute(automation.tick("fill_missing"))
    assert ticks.tick() == "nothing failed"
    alter_source(graph.dataset, "plate-002")
    graph.materialize(f"segments/{SEGMENTER}")
    assert ticks.tick().endswith("1 check is red")
    (check,) = sent[-1].checks
    assert check.name == f"segments/{SEGMENTER}: sound"
    assert "plate-002" in check.reason
    assert f"{UI}/assets/segments/{SEGMENTER}" in sent[-1].text()
    graph.materialize(f"segments/{SEGMENTER}")
    assert not ticks.tick().endswith("red")


class TestDelivery:
    """What a webhook does to the tick."""

    @pytest.fixture
    def hook(self):
        with webhook() as state:
            yield state

    @pytest.fixture
    def ticks(self, with_magenta, hook):
        settings = WebhookAlerts(url=hook.url, seconds=0.5)
        ticks = Ticks(with_magenta, lambda message: send_to_webhook(message, settings, {}))
        ticks.tick()
        measure(with_magenta)
        return ticks

    def test_it_takes_json_that_names_the_run(self, ticks: Ticks, hook: Webhook):
        ticks.tick()
        (body,) = hook.taken
        (run,) = body["runs"]
        assert (run["plate_count"], run["retry"]) == (1, COMMAND)
        assert run["plates"][0]["plate_id"] == "plate-003"
        assert body["text"].splitlines()[0] == "Atlas: 1 run failed"
        assert len(body["id"]) == 16

    @pytest.mark.parametrize("status", [500, 404, 302, 0], ids=["error", "missing", "redirect", "hangs"])
    def test_a_failure_that_is_not_taken_fails_the_tick_and_is_sent_by_the_next(
        self, ticks: Ticks, hook: Webhook, status: int
    ):
        hook.status = status
        started = time.monotonic()
        for _ in range(2):
            with pytest.raises(NotSent, match=str(status) if status else "did not answer within 0.5 s") as caught:
                ticks.tick()
            assert "secret" not in str(caught.value)
        assert time.monotonic() - started < 20
        hook.status = 200
        assert ticks.tick() == "reported: Atlas: 1 run failed"
        assert len({body["id"] for body in hook.taken}) == 1
        assert ticks.tick() == "nothing failed"

    def test_a_webhook_that_is_not_there_fails_the_tick(self, with_magenta):
        settings = WebhookAlerts(url="http://127.0.0.1:9/hook", seconds=1)
        ticks = Ticks(with_magenta, lambda message: send_to_webhook(message, settings, {}))
        ticks.tick()
        measure(with_magenta)
        with pytest.raises(NotSent, match=r"http://127\.0\.0\.1:9 cannot be reached"):
            ticks.tick()
        ticks.deliver = lambda message: None
        assert ticks.tick() == "reported: Atlas: 1 run failed"

    def test_the_token_and_the_address_come_from_the_environment(self, ticks: Ticks, hook: Webhook):
        variables = {"ATLAS_ALERT_WEBHOOK": hook.url, "ATLAS_ALERT_TOKEN": "t0ken"}
        ticks.deliver = lambda message: send_to_webhook(message, WebhookAlerts(), variables)
        ticks.tick()
        assert hook.headers["Authorization"] == "Bearer t0ken"


def test_dagsters_own_sensor_loses_a_failure_whose_function_raised(instance):
    """Why this project's sensors keep a cursor of their own: if it fails one day, they may be replaced."""

    @dg.op
    def breaks() -> None:
        raise ArithmeticError

    @dg.job
    def broken() -> None:
        breaks()

    called = []

    @dg.run_failure_sensor(monitor_all_code_locations=True)
    def own(context: dg.RunFailureSensorContext) -> None:
        called.append(context.dagster_run.run_id)
        raise NotSent("the webhook is down")

    repository = dg.Definitions(jobs=[broken], sensors=[own]).get_repository_def()

    def tick(cursor: str | None) -> str | None:
        context = dg.build_sensor_context(instance, cursor=cursor, repository_def=repository, sensor_name="own")
        return own.evaluate_tick(context).cursor

    cursor = tick(None)
    broken.execute_in_process(instance=instance, raise_on_error=False)
    cursor = tick(cursor)
    tick(cursor)
    assert len(called) == 1


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.org/hook", "expected https, or http on 127.0.0.1"),
        ("ftp://127.0.0.1/hook", "expected an http or https address"),
        ("", "expected an http or https address"),
    ],
)
def test_an_address_in_the_clear_or_none_is_refused_without_showing_its_path(url: str, problem: str):
    with pytest.raises(AlertsMisstated, match=problem) as caught:
        WebhookAlerts(url=url or None).require_url({})
    assert "hook" not in str(caught.value).replace("webhook", "").replace("WEBHOOK", "")


@pytest.mark.parametrize(
    "url", ["https://example.org/h", "http://127.0.0.1:1/h", "http://[::1]:1/h", "http://localhost/h"]
)
def test_https_and_loopback_are_accepted(url: str):
    assert WebhookAlerts(url=url).require_url({}) == url


def test_the_sensors_are_off_unless_the_settings_say_otherwise():
    def states(alerts: Alerts) -> dict[str, str]:
        return {sensor.name: sensor.default_status.value for sensor in build_alert_sensors(alerts)}

    assert states(Alerts()) == {"alert_by_webhook": "STOPPED", "alert_by_mail": "STOPPED"}
    assert states(Alerts(webhook=WebhookAlerts(is_on=True)))["alert_by_webhook"] == "RUNNING"
