"""Prometheus, node_exporter and a Pushgateway, as Debian builds them, on loopback for one test: `make prometheus`."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from atlas_resources.files.project import PROJECT_ROOT
from support.served import free_port

UNPACKED = PROJECT_ROOT / "build" / "prometheus" / "usr" / "bin"
NAMES = ("prometheus", "prometheus-node-exporter", "prometheus-pushgateway", "promtool")
WAIT_SECONDS = 60
DEPLOY = PROJECT_ROOT / "deploy"


def find(name: str) -> str | None:
    """A program of the system, or the unpacked one."""
    unpacked = UNPACKED / name
    return str(unpacked) if os.access(unpacked, os.X_OK) else shutil.which(name)


ABSENT = [name for name in NAMES if find(name) is None]
wants_prometheus = pytest.mark.skipif(bool(ABSENT), reason=f"no {', '.join(ABSENT)} here: make prometheus")


def promtool(*arguments: str, given: bytes = b"") -> None:
    """Runs promtool in the folder of rules, and fails with what it says if it finds anything wrong."""
    found = find("promtool")
    assert found is not None
    done = subprocess.run(
        [found, *arguments], input=given, capture_output=True, cwd=DEPLOY / "prometheus", timeout=60, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


@dataclass(frozen=True)
class Monitoring:
    """Programs that run.

    Attributes:
        url: of Prometheus.
        gateway: address of the Pushgateway.
    """

    url: str
    gateway: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus answers now: labels and value of each series."""
        answer = read_json(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        assert answer["status"] == "success", answer
        found = answer["data"]["result"]
        return found if isinstance(found, list) else [found]

    def value(self, expression: str) -> float | None:
        """The one value of a query; None if it has none yet."""
        found = self.query(expression)
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else None

    def wait_for(self, expression: str, is_right: Callable[[float | None], bool]) -> float | None:
        """The value of a query once it is right, as scrapes are made every second."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not is_right(found := self.value(expression)):
            assert time.monotonic() < deadline, (expression, found, self.query('{__name__=~"atlas.*"}')[:20])
            time.sleep(0.3)
        return found


def read_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - loopback
        return json.load(response)


@contextmanager
def monitoring(folder: Path, textfiles: Path) -> Iterator[Monitoring]:
    """Runs the three programs with the project's rules, scraping every second.

    Args:
        folder: where Prometheus keeps its data.
        textfiles: the folder that node_exporter reads.
    """
    textfiles.mkdir(parents=True, exist_ok=True)
    prometheus, node, gateway = (f"127.0.0.1:{free_port()}" for _ in range(3))
    settings = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(DEPLOY / "prometheus" / "atlas_rules.yml")]
    for config, target in zip(settings["scrape_configs"], (node, gateway), strict=True):
        config["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    only_textfiles = ("--collector.disable-defaults", "--collector.textfile")
    commands = (
        (
            "prometheus-node-exporter",
            f"--web.listen-address={node}",
            *only_textfiles,
            f"--collector.textfile.directory={textfiles}",
        ),
        ("prometheus-pushgateway", f"--web.listen-address={gateway}"),
        (
            "prometheus",
            f"--web.listen-address={prometheus}",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
        ),
    )
    with ExitStack() as programs:
        for name, *arguments in commands:
            programs.enter_context(_program(folder / f"{name}.log", find(name) or name, *arguments))
        for address, path in ((node, "/metrics"), (gateway, "/-/ready"), (prometheus, "/-/ready")):
            _wait_for(f"http://{address}{path}")
        yield Monitoring(f"http://{prometheus}", f"http://{gateway}")


@contextmanager
def _program(log: Path, *command: str) -> Iterator[None]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, url
            time.sleep(0.1)
