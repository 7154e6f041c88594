"""A real Prometheus scrapes what real runs wrote, and answers every query of the dashboard and of the alerts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_datasets import make_dataset
from support.prometheus import DEPLOY, Monitoring, monitoring, promtool, wants_prometheus

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.builders import build_ledger
from atlas_resources.ledgers.gauges.library import publish_library
from atlas_resources.plates.dataset import Dataset
from atlas_resources.watching.settings import MetricsSettings

pytestmark = [pytest.mark.system, wants_prometheus]

COLOURS = ("red", "green", "magenta", "ochre", "teal", "rose", "ink", "plum")
WITHOUT_SERIES_HERE = {"GPU memory"}
"""Panels that show nothing on a machine without a GPU."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@pytest.fixture(scope="module")
def monitored(folder: Path) -> Iterator[Monitoring]:
    with monitoring(folder, folder / "prom") as programs:
        yield programs


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return make_dataset(folder, *COLOURS)


@contextmanager
def running(
    folder: Path, dataset: Dataset, delay_seconds: float, **settings: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a process of its own, whose project states where metrics go; killed at the end if it still runs."""
    project = folder / "project"
    project.mkdir(exist_ok=True)
    (project / "automation.yaml").write_text((PROJECT_ROOT / "atlas_assets/project/automation.yaml").read_text())
    (project / "metrics.yaml").write_text(yaml.safe_dump({"folder": str(folder / "prom"), "seconds": 0.3, **settings}))
    path = os.pathsep.join([str(PROJECT_ROOT), str(PROJECT_ROOT / "tests")])
    with subprocess.Popen(
        [sys.executable, PROJECT_ROOT / "tests/support/watched_run.py", dataset.root, str(delay_seconds)],
        env={**os.environ, "PYTHONPATH": path, "ATLAS_PROJECT": str(project)},
        stdout=subprocess.PIPE,
    ) as process:
        yield process
        process.kill()


def while_it_measures(monitored: Monitoring) -> None:
    mine = f'instrument="{EMBEDDER}"'
    info = f'atlas_run_info{{{mine},job="node"}}'
    monitored.wait_for(info, lambda found: found == 1)
    fingerprint = fake_registry(fake_spec(EMBEDDER, delay_seconds=0.8)).instruments[EMBEDDER].identity.fingerprint
    (present,) = monitored.query(info)
    assert present["metric"]["fingerprint"] == fingerprint[:12]
    assert present["metric"]["host"] == os.uname().nodename
    monitored.wait_for(f'rate(atlas_plates_total{{{mine},status="complete",job="node"}}[10s])', bool)
    prepared = monitored.wait_for('atlas_run_queue_plates{queue="prepared",job="node"}', bool)
    limit = monitored.value('atlas_run_queue_limit_plates{queue="prepared",job="node"}')
    assert prepared is not None
    assert limit is not None
    assert 0 < prepared <= limit


def test_prometheus_sees_a_run_while_it_measures_and_after_it(monitored, folder, dataset, fakes):
    with running(folder, dataset, 0.8, pushgateway=monitored.gateway) as run:
        while_it_measures(monitored)
        assert run.wait(60) == 0
    mine = f'instrument="{EMBEDDER}"'
    for job in ("node", "atlas"):  # by node_exporter, and by the Pushgateway
        monitored.wait_for(f'atlas_plates_total{{{mine},status="complete",job="{job}"}}', lambda found: found == 7)
        assert monitored.value(f'atlas_plates_total{{{mine},status="failed",job="{job}"}}') == 1
        assert monitored.value(f'atlas_plate_stage_seconds_count{{{mine},stage="decode",job="{job}"}}') == 8
        spent = monitored.value(f'atlas_plate_stage_seconds_sum{{{mine},stage="compute",job="{job}"}}')
        assert spent is not None
        assert spent > 7 * 0.8
        monitored.wait_for(f'count(atlas_run_info{{job="{job}"}})', lambda found: found is None)


def test_the_next_run_goes_on_with_the_counts(monitored, folder, dataset, fakes):
    with running(folder, dataset, 0.8) as run:
        assert run.wait(60) == 0
    reused = f'atlas_plates_total{{instrument="{EMBEDDER}",status="reused",job="node"}}'
    assert monitored.wait_for(reused, lambda found: found == 7) == 7
    assert monitored.value(reused.replace("reused", "complete")) == 7


def test_a_killed_run_is_counted_once_and_no_longer_shown(monitored, folder, dataset, fakes):
    with running(folder, dataset, 0.5) as run:  # another fingerprint, which measures anew
        assert run.stdout is not None
        assert run.stdout.readline()  # a plate is sealed
        run.kill()
    monitored.wait_for('count(atlas_run_info{job="node"})', lambda found: found == 1)
    for _ in range(2):
        publish_library(dataset, MetricsSettings(folder=folder / "prom"), folder / "prom")
    monitored.wait_for('atlas_runs_killed_total{job="node"}', lambda found: found == 1)
    monitored.wait_for('count(atlas_run_info{job="node"})', lambda found: found is None)


def test_the_library_is_counted_by_its_ledgers(monitored, folder, dataset, fakes):
    registry: Registry = fake_registry(fake_spec(EMBEDDER, delay_seconds=0.8))
    for name in ("plates", "completeness"):
        build_ledger(name, dataset, registry)
    publish_library(dataset, MetricsSettings(folder=folder / "prom"), folder / "prom")
    monitored.wait_for("atlas_library_plates", lambda found: found == len(COLOURS))
    states = f'atlas_library_plate_states{{instrument="{EMBEDDER}"}}'
    monitored.wait_for(f"sum({states})", lambda found: found == len(COLOURS))
    found = {one["metric"]["state"]: float(one["value"][1]) for one in monitored.query(states)}
    assert {state: count for state, count in found.items() if count} == {"done": 7.0, "failed": 1.0}
    age = monitored.value('time() - atlas_ledger_written_timestamp_seconds{ledger="completeness"}')
    assert age is not None
    assert 0 <= age < 60


def test_every_panel_of_the_dashboard_shows_something(monitored, folder, dataset, fakes):
    with running(folder, dataset, 0.6) as run:
        monitored.wait_for('atlas_run_queue_plates{queue="prepared",job="node"}', lambda found: found is not None)
        monitored.wait_for(
            f'rate(atlas_plates_total{{instrument="{EMBEDDER}",status="complete",job="node"}}[10s])', bool
        )
        panels = json.loads((DEPLOY / "grafana" / "atlas.json").read_text())["panels"]
        assert len(panels) > 10
        for panel in panels:
            for target in panel["targets"]:
                expression = re.sub(r"\$(dataset|instrument)", ".*", target["expr"]).replace("$__rate_interval", "10s")
                found = monitored.query(expression)
                assert found or panel["title"] in WITHOUT_SERIES_HERE, (panel["title"], expression)
        assert run.wait(60) == 0


def test_prometheus_took_the_rules(monitored):
    states = monitored.query('ALERTS{alertname="AtlasRunSilent"}')
    assert states == []  # nothing is silent; the rules are evaluated every second
    assert monitored.value('sum(prometheus_rule_group_rules{rule_group=~".*atlas.*"})') in (None, 8.0)


def test_promtool_finds_nothing_wrong(monitored, folder):
    paths = sorted((folder / "prom").glob("*.prom"))
    assert paths
    for path in paths:
        promtool("check", "metrics", given=path.read_bytes())
    promtool("check", "rules", "atlas_rules.yml")
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "atlas_rules_test.yml")
