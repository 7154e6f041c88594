"""A real daemon reports a failed run to a webhook that is down at first, and by mail, and writes metrics."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from support.alert_receivers import MailServer, Webhook, mail_server, webhook
from support.deployed import Deployment, deployment
from support.made_datasets import alter_source, make_dataset
from support.served import LOCATION

from atlas_resources.files.project import SETTINGS_FOLDER

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

BAD = "plate-002"
SENSORS = ("alert_by_webhook", "alert_by_mail")


@dataclass(frozen=True)
class Watched:
    """A deployment whose settings report to both receivers."""

    running: Deployment
    hook: Webhook
    mails: MailServer
    prom: Path

    def ticks(self, sensor: str) -> list[tuple[str, str]]:
        """Status of each tick and its error, newest first."""
        ticks = self.running.server.ask(
            """query($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { ... on Sensor {
                sensorState { ticks { status error { message cause { message } } } } } } }""",
            selector={**LOCATION, "sensorName": sensor},
        )["sensorOrError"]["sensorState"]["ticks"]
        return [(tick["status"], str(tick["error"] or "")) for tick in ticks]


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("alerts")
    dataset = make_dataset(folder, "red", "green", "blue")
    project = folder / "project"
    project.mkdir()
    with mail_server() as mails, webhook() as hook, pytest.MonkeyPatch.context() as patch:
        hook.status = 500
        settings = yaml.safe_load((SETTINGS_FOLDER / "automation.yaml").read_text())
        to = {"is_on": True, "host": "127.0.0.1", "port": mails.port, "recipients": ["curator@example.org"]}
        settings["alerts"] = {"webhook": {"is_on": True, "seconds": 20}, "mail": to}
        (project / "automation.yaml").write_text(yaml.safe_dump(settings))
        (project / "metrics.yaml").write_text(yaml.safe_dump({"folder": str(folder / "prom"), "seconds": 0.5}))
        patch.setenv("ATLAS_PROJECT", str(project))
        patch.setenv("ATLAS_ALERT_WEBHOOK", hook.url)
        with deployment(dataset, folder, "otsu_luma") as running:
            yield Watched(running, hook, mails, folder / "prom")


def test_a_failed_run_is_reported_by_both_although_the_webhook_is_down_at_first(watched: Watched):
    running = watched.running
    running.wait_until(lambda: all(watched.ticks(sensor) for sensor in SENSORS), "first ticks")
    alter_source(running.dataset, BAD)
    paths = [["plate", "input_image"], ["plate", "input_color_histograms"], ["segments", "otsu_luma"]]
    backfill = running.server.launch_backfill(paths, list(running.dataset.plate_ids()))
    failed = [one for one in running.server.runs_of_backfill(backfill) if running.server.wait_for_run(one) == "FAILURE"]
    assert failed
    running.wait_until(lambda: "FAILURE" in dict(watched.ticks("alert_by_webhook")), "a tick that fails")
    (error,) = {error for status, error in watched.ticks("alert_by_webhook") if status == "FAILURE"}
    assert "answered 500" in error
    assert "secret" not in error  # the path of the webhook's address
    running.wait_until(lambda: len(watched.mails.mails) > 0, "a mail, whatever the webhook does")
    refused = len(watched.hook.taken)
    watched.hook.status = 200

    def told() -> set[str]:
        return {run["run_id"] for body in watched.hook.taken[refused:] for run in body["runs"]}

    # The backfill's further runs, which may end later, are reported as well.
    running.wait_until(
        lambda: told() == {run["runId"] for run in running.runs() if run["status"] == "FAILURE"}, "reports"
    )
    assert told() >= set(failed)
    plates = [plate for body in watched.hook.taken[refused:] for run in body["runs"] for plate in run["plates"]]
    assert {plate["plate_id"] for plate in plates} == {BAD}
    assert all(plate["reason"].startswith("SourceChanged (decode)") for plate in plates)
    assert watched.mails.recipients[0] == ["curator@example.org"]
    assert f"- {BAD}, " in watched.mails.mails[0]


def test_the_daemon_writes_the_librarys_metrics_and_runs_their_own(watched: Watched):
    def texts() -> str:
        return "".join(path.read_text() for path in watched.prom.glob("*.prom"))

    wait_until = watched.running.wait_until
    wait_until(lambda: "atlas_library_plates" in texts(), "the library's metrics")
    count = 'atlas_plates_total{instrument="otsu_luma",slot="0",status="%s"} %s'
    wait_until(lambda: count % ("complete", "2.0") in texts(), "the plates that a run has made")
    assert count % ("failed", "1.0") in texts()
    assert watched.running.ticks("library_metrics") > 0
