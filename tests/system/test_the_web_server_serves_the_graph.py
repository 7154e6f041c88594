"""Dagster's real web server over the project's workspace: the graph, the state of each plate, and runs from it."""

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

import pytest
from made_datasets import make_dataset

from atlas_assets.terminal import materialize, open_instance
from atlas_resources.dataset import Dataset
from atlas_resources.provenance import PROJECT_ROOT
from atlas_resources.registry import read_registry

pytestmark = pytest.mark.system

BIN = Path(sys.executable).parent
WORKSPACE = PROJECT_ROOT / "workspace.yaml"
START_SECONDS = 90
RUN_SECONDS = 90
LOCATION = {"repositoryLocationName": "atlas", "repositoryName": "__repository__"}


class Server:
    """A running web server, asked over GraphQL."""

    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=5) as response:  # noqa: S310
                return response.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def plates(self, *path: str) -> set[str]:
        """Plates that the UI shows as materialised."""
        answer = self.ask(
            """query($path: [String!]!) { assetNodeOrError(assetKey: {path: $path}) { ... on AssetNode {
                assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions } }
            } } }""",
            path=list(path),
        )
        statuses = answer["assetNodeOrError"]["assetPartitionStatuses"]
        return set(statuses["materializedPartitions"])

    def wait_for_run(self, run_id: str) -> str:
        """Status in which a run ends."""
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
        """Asks for a backfill as the UI does for a choice of plates; gives its id."""
        answer = self.ask(
            """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
                __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
            } }""",
            params={"assetSelection": [{"path": path} for path in paths], "partitionNames": plates},
        )["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return answer["backfillId"]

    def runs_of_backfill(self, backfill_id: str) -> list[str]:
        """Ids of a backfill's runs, once there are any."""
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
        """Asks for a materialisation as the UI does for one run; gives the run's id."""
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


def sealed(dataset: Dataset, plate_id: str) -> list[str]:
    """Names of what lies in the plate's `runs/`."""
    runs = dataset.runs_dir(plate_id)
    return sorted(path.name for path in runs.iterdir()) if runs.is_dir() else []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Dataset]:
    """Four plates with their groundwork; plate-001 and plate-002 segmented. Environment as `atlas ui` sets it."""
    folder = tmp_path_factory.mktemp("served")
    dataset, registry = make_dataset(folder, "red", "green", "blue", "ochre"), read_registry()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATLAS_HOME", str(dataset.root))
        patch.setenv("DAGSTER_HOME", str(folder / "dagster"))
        with open_instance(dataset) as instance:
            layers = [
                *materialize(registry, dataset, instance, selection="group:plate or group:groundwork"),
                *materialize(
                    registry,
                    dataset,
                    instance,
                    selection='key:"segments/otsu_luma"',
                    plate_ids=["plate-001", "plate-002"],
                ),
            ]
        assert all(layer.is_success for layer in layers), layers
        yield dataset


@contextmanager
def program(home: Dataset, *command: str | Path) -> Iterator[subprocess.Popen]:
    """A process and all it starts, ended with the block. What it says is in `<dataset>/<its name>.log`."""
    with (home.root / f"{Path(command[0]).name}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            yield process
        finally:
            for signal_number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, signal_number)
                    process.wait(timeout=20)


@pytest.fixture(scope="module")
def server(home) -> Iterator[Server]:
    port = free_port()
    server = Server(port)
    command = (BIN / "dagster-webserver", "-h", "127.0.0.1", "-p", str(port), "-w", WORKSPACE)
    with program(home, *command) as process:
        deadline = time.monotonic() + START_SECONDS
        while not server.is_up():
            said = (home.root / "dagster-webserver.log").read_text()
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.3)
        yield server


@pytest.fixture(scope="module")
def backfill_id(server, home) -> str:
    """A backfill of the groundwork over every plate, asked for before there is a daemon, which looks every 30 s."""
    return server.launch_backfill([["plate", "input_image"], ["plate", "input_color_histograms"]], home.plate_ids())


@pytest.fixture(scope="module")
def _daemon(home, backfill_id) -> Iterator[None]:
    """Starts what the web server queues; `dagster dev` has one beside it."""
    with program(home, BIN / "dagster-daemon", "run", "-w", WORKSPACE):
        yield


def test_the_workspace_validates(home):
    done = subprocess.run(
        [BIN / "dagster", "definitions", "validate", "-w", WORKSPACE],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation" in done.stdout + done.stderr


def test_every_asset_is_there_with_its_group(server):
    nodes = server.ask("{ assetNodes { assetKey { path } groupName kinds isPartitioned } }")["assetNodes"]
    groups = {"/".join(node["assetKey"]["path"]): node["groupName"] for node in nodes}
    assert groups["plate/manifest"] == "plate"
    assert groups["plate/input_image"] == "groundwork"
    assert groups["embeddings/efficientnet_lite0"] == "embeddings"
    assert groups["probes/efficientnet_lite0_imagenet"] == "probes"
    assert groups["segments/otsu_luma"] == "segments"
    assert groups["ledger/runs"] == "ledger"
    assert groups["catalogue"] == "catalogue"
    assert all(node["kinds"] for node in nodes)


def test_the_state_of_each_plate_is_shown(server):
    assert server.plates("plate", "manifest") == {"plate-001", "plate-002", "plate-003", "plate-004"}
    assert server.plates("segments", "otsu_luma") == {"plate-001", "plate-002"}
    assert server.plates("embeddings", "efficientnet_lite0") == set()


def test_no_plate_that_was_made_is_stale(server):
    answer = server.ask(
        """{ assetNodeOrError(assetKey: {path: ["plate", "input_image"]}) { ... on AssetNode {
            staleStatusByPartition(partitions: ["plate-001", "plate-004"]) } } }"""
    )
    assert answer["assetNodeOrError"]["staleStatusByPartition"] == ["FRESH", "FRESH"]


def test_an_instruments_resource_shows_its_pins(server):
    answer = server.ask(
        """query($selector: ResourceSelector!) { topLevelResourceDetailsOrError(resourceSelector: $selector) {
            ... on ResourceDetails { configuredValues { key value } } } }""",
        selector={**LOCATION, "resourceName": "efficientnet_lite0"},
    )
    shown = {item["key"]: item["value"] for item in answer["topLevelResourceDetailsOrError"]["configuredValues"]}
    identity = read_registry().identities["efficientnet_lite0"]
    assert identity.model_sha in shown["revision"]
    assert str(identity.weights_sha256) in shown["weights_sha256"]


def test_the_sensor_is_shown(server):
    answer = server.ask(
        "query($selector: RepositorySelector!) { sensorsOrError(repositorySelector: $selector) "
        "{ ... on Sensors { results { name } } } }",
        selector=LOCATION,
    )
    assert "register_new_scans" in [sensor["name"] for sensor in answer["sensorsOrError"]["results"]]


@pytest.mark.usefixtures("_daemon")
def test_one_plate_is_materialised_from_the_ui(server, home):
    run_id = server.launch(["segments", "otsu_luma"], {"dagster/partition": "plate-003"})
    assert server.wait_for_run(run_id) == "SUCCESS"
    assert server.plates("segments", "otsu_luma") == {"plate-001", "plate-002", "plate-003"}
    assert len(sealed(home, "plate-003")) == 1


@pytest.mark.usefixtures("_daemon")
def test_a_range_over_done_plates_is_materialised_from_the_ui(server, home):
    run_id = server.launch(
        ["segments", "otsu_luma"],
        {"dagster/asset_partition_range_start": "plate-001", "dagster/asset_partition_range_end": "plate-004"},
    )
    assert server.wait_for_run(run_id) == "SUCCESS"
    assert server.plates("segments", "otsu_luma") == {"plate-001", "plate-002", "plate-003", "plate-004"}
    assert [len(sealed(home, plate_id)) for plate_id in home.plate_ids()] == [1, 1, 1, 1]


@pytest.mark.usefixtures("_daemon")
def test_a_whole_backfill_from_the_ui_is_one_run(server, backfill_id):
    (run_id,) = server.runs_of_backfill(backfill_id)
    assert server.wait_for_run(run_id) == "SUCCESS"
    assert server.plates("plate", "input_image") == {"plate-001", "plate-002", "plate-003", "plate-004"}
