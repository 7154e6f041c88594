"""Web server, code server and daemon over a dataset, as they are deployed; specs may be added while they run."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from atlas_assets.automation.standings import read_standings
from atlas_assets.graph.partitions import add_missing_partitions
from atlas_assets.in_process.instance import open_instance
from atlas_resources.files.project import SPECS_FOLDER
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.plates.dataset import Dataset
from support.served import BIN, LOCATION, Server, free_port, program, wait_for_port, web_server

SETTLE_SECONDS = 240  # a time limit, not a measure of speed: two busy cores have taken half of it
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

# What the code server loads: the project's own definitions, over specs to which the test may add. Its sensors tick more
# often than the project's, so that the test sees many ticks.
DEFINITIONS = """
from pathlib import Path

from atlas_assets.definitions import build_definitions
from atlas_resources.plates.dataset import dataset_root
from atlas_resources.instruments.registry import read_registry

defs = build_definitions(read_registry(Path({specs!r})), dataset_root())
for sensor in defs.sensors:
    sensor._min_interval = 3
"""


def add_spec(specs: Path, key: str, active: list[str]) -> None:
    """Adds a model as a person does: a spec file, and its name in the roster."""
    shutil.copy(SPECS_FOLDER / f"{key}.yaml", specs)
    (specs / "roster.yaml").write_text(yaml.safe_dump({"active": active}))


class Deployment:
    """The running programs over a dataset."""

    def __init__(self, dataset: Dataset, specs: Path, workspace: Path, server: Server):
        self.dataset = dataset
        self.specs = specs
        self.workspace = workspace
        self.server = server
        self.daemon = ExitStack()

    @property
    def registry(self) -> Registry:
        return read_registry(self.specs)

    def start_daemon(self) -> None:
        self.daemon.enter_context(program(self.dataset, BIN / "dagster-daemon", "run", "-w", self.workspace))

    def stop_daemon(self) -> None:
        self.daemon.close()

    def switch_on(self, sensor: str) -> None:
        answer = self.server.ask(
            """mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
                __typename ... on PythonError { message } } }""",
            selector={**LOCATION, "sensorName": sensor},
        )["startSensor"]
        assert answer["__typename"] == "Sensor", answer

    def reload(self) -> None:
        answer = self.server.ask(
            """mutation { reloadRepositoryLocation(repositoryLocationName: "atlas") {
                __typename ... on WorkspaceLocationEntry { locationOrLoadError { __typename } } } }"""
        )["reloadRepositoryLocation"]
        assert answer["locationOrLoadError"]["__typename"] == "RepositoryLocation", answer

    def runs(self) -> list[dict[str, Any]]:
        """The status, times, assets and tags of each run, newest first."""
        return self.server.ask(
            """{ runsOrError { ... on Runs { results {
                runId status startTime endTime tags { key value } assetSelection { path } } } } }"""
        )["runsOrError"]["results"]

    def runs_of(self, *path: str) -> list[str]:
        """The status of each run that included an asset, oldest first."""
        found = [run for run in self.runs() if list(path) in [key["path"] for key in run["assetSelection"] or []]]
        return [run["status"] for run in reversed(found)]

    def ticks(self, sensor: str) -> int:
        """The number of completed ticks of a sensor. A failed tick fails the test."""
        ticks = self.server.ask(
            """query($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { ... on Sensor {
                sensorState { ticks { status error { message } } } } } }""",
            selector={**LOCATION, "sensorName": sensor},
        )["sensorOrError"]["sensorState"]["ticks"]
        assert [tick["error"] for tick in ticks if tick["error"]] == []
        return sum(tick["status"] in ("SUCCESS", "SKIPPED") for tick in ticks)

    def failed_plates(self, *path: str) -> set[str]:
        """The plates that the UI shows as failed."""
        answer = self.server.ask(
            """query($path: [String!]!) { assetNodeOrError(assetKey: {path: $path}) { ... on AssetNode {
                assetPartitionStatuses { ... on DefaultPartitionStatuses { failedPartitions } } } } }""",
            path=list(path),
        )
        return set(answer["assetNodeOrError"]["assetPartitionStatuses"]["failedPartitions"])

    def standing(self) -> dict[str, tuple[set[str], set[str]]]:
        """The done and the failed plates of each active instrument, from the plates' own files."""
        _, *instruments = read_standings(self.dataset, self.registry.active_instruments)
        plate_ids = set(self.dataset.plate_ids())
        return {
            standing.keys[0].to_user_string(): (
                plate_ids - {plate.plate_id for plate in standing.plates if not plate.is_done},
                {plate.plate_id for plate in standing.failed},
            )
            for standing in instruments
        }

    def wait_until(self, is_so: Callable[[], bool], what: str, *, seconds: float = SETTLE_SECONDS) -> None:
        asked = time.monotonic()
        deadline = asked + seconds
        while not is_so():
            assert time.monotonic() < deadline, f"{what}: {self.standing()}; {self.runs()}"
            time.sleep(max(1.0, 4 * (time.monotonic() - asked)))  # polling must not keep the machine busy
            asked = time.monotonic()

    def is_idle(self) -> bool:
        return all(run["status"] in ENDED for run in self.runs())

    def settle(self, *instruments: str, good: set[str], bad: set[str], seconds: float = SETTLE_SECONDS) -> None:
        """Waits until every good plate is done, every bad one has failed, and the ledgers are up to date."""
        wanted = {instrument: (good, bad) for instrument in instruments}
        self.wait_until(lambda: self.standing() == wanted, "plates", seconds=seconds)
        self.wait_until(
            lambda: not why_behind(self.dataset, self.registry) and self.is_idle(), "ledgers", seconds=seconds
        )


@contextmanager
def deployment(dataset: Dataset, folder: Path, *active: str) -> Iterator[Deployment]:
    """Runs every program over a dataset, on loopback, with sensors off and its state in `folder`.

    Args:
        dataset: the plates; their partitions are added.
        folder: where specs, workspace and DAGSTER_HOME lie.
        active: the instruments to begin with.
    """
    specs, port = folder / "model_specs", free_port()
    specs.mkdir()
    for key in active:
        add_spec(specs, key, list(active))
    definitions, workspace = folder / "served_definitions.py", folder / "workspace.yaml"
    definitions.write_text(DEFINITIONS.format(specs=str(specs)))
    location = {"host": "127.0.0.1", "port": port, "location_name": "atlas"}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": location}]}))
    with pytest.MonkeyPatch.context() as patch, ExitStack() as programs:
        patch.setenv("ATLAS_HOME", str(dataset.root))
        patch.setenv("DAGSTER_HOME", str(folder / "dagster"))
        with open_instance(dataset) as instance:
            add_missing_partitions(instance, dataset)
        code = ("code-server", "start", "-h", "127.0.0.1", "-p", str(port), "-f", definitions)
        programs.enter_context(program(dataset, BIN / "dagster", *code))
        wait_for_port(port)  # a web server that finds no code server makes it load everything again
        server = programs.enter_context(web_server(dataset, workspace))
        running = Deployment(dataset, specs, workspace, server)
        running.wait_until(lambda: is_loaded(server), "the code location")
        programs.enter_context(running.daemon)
        running.start_daemon()
        yield running


def is_loaded(server: Server) -> bool:
    """Whether the code location is loaded. Reloads it if the code server was not up yet."""
    nodes = server.ask("{ assetNodes { id } }")["assetNodes"]
    if not nodes:
        server.ask('mutation { reloadRepositoryLocation(repositoryLocationName: "atlas") { __typename } }')
    return bool(nodes)
