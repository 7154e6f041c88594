"""Dagster's own programs, run on loopback for one test, and a client of its web server's GraphQL API."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.plates.dataset import Dataset

BIN = Path(sys.executable).parent
START_SECONDS = 180
RUN_SECONDS = 180
LOCATION = {"repositoryLocationName": "atlas", "repositoryName": "__repository__"}


class Server:
    """A client of a running web server's GraphQL API."""

    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - loopback
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=5) as response:  # noqa: S310 - loopback
                return response.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def plates(self, *path: str) -> set[str]:
        """The plates that the UI shows as materialised."""
        answer = self.ask(
            """query($path: [String!]!) { assetNodeOrError(assetKey: {path: $path}) { ... on AssetNode {
                assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions } }
            } } }""",
            path=list(path),
        )
        statuses = answer["assetNodeOrError"]["assetPartitionStatuses"]
        return set(statuses["materializedPartitions"])

    def wait_for_run(self, run_id: str) -> str:
        """Waits for the end of a run and returns its status."""
        status = "none"
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            answer = self.ask("query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run_id)
            status = answer["runOrError"]["status"]
            if status in ("SUCCESS", "FAILURE", "CANCELED"):
                break
            time.sleep(0.5)
        return status

    def launch_backfill(self, paths: list[list[str]], plates: list[str]) -> str:
        """Launches a backfill as the UI does for chosen plates. Returns its id."""
        answer = self.ask(
            """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
                __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
            } }""",
            params={"assetSelection": [{"path": path} for path in paths], "partitionNames": plates},
        )["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return answer["backfillId"]

    def runs_of_backfill(self, backfill_id: str) -> list[str]:
        """Waits for a backfill's runs and returns their ids."""
        runs: list[dict[str, str]] = []
        deadline = time.monotonic() + RUN_SECONDS
        while not runs and time.monotonic() < deadline:
            time.sleep(0.5)
            runs = self.ask(
                "query($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results { runId } } } }",
                filter={"tags": [{"key": "dagster/backfill", "value": backfill_id}]},
            )["runsOrError"]["results"]
        return [run["runId"] for run in runs]

    def launch(self, path: list[str], tags: dict[str, str]) -> str:
        """Launches a materialisation as the UI does for one run. Returns the run's id."""
        answer = self.ask(
            """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
                __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
                ... on RunConfigValidationInvalid { errors { message } }
            } }""",
            params={
                "mode": "default",
                "selector": {**LOCATION, "pipelineName": "__ASSET_JOB", "assetSelection": [{"path": path}]},
                "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            },
        )["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int) -> None:
    """Waits until a program listens on a port of this machine."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"nothing listens on port {port}"
        time.sleep(0.1)


@contextmanager
def program(home: Dataset, *command: str | Path) -> Iterator[subprocess.Popen]:
    """Runs a program, and ends it and its children with the block. Its output is in `<dataset>/<its name>.log`."""
    with (home.root / f"{Path(command[0]).name}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            yield process
        finally:
            for signal_number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, signal_number)
                    process.wait(timeout=20)


@contextmanager
def web_server(home: Dataset, workspace: Path, *options: str) -> Iterator[Server]:
    """Runs the web server over a workspace. Yields it as soon as it answers."""
    port = free_port()
    server = Server(port)
    command = (BIN / "dagster-webserver", "-h", "127.0.0.1", "-p", str(port), "-w", workspace, *options)
    with program(home, *command) as process:
        deadline = time.monotonic() + START_SECONDS
        while not server.is_up():
            said = (home.root / "dagster-webserver.log").read_text()
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.3)
        yield server
