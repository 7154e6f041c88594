"""Web server, code server and daemon as they are deployed: sensors on, a model added while they run, two bad plates.

It ends by itself: every good plate done once, two failures by name, ledgers equal to plate-local truth, no more runs.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_datasets import alter_source, make_dataset, run_folders
from served import BIN, LOCATION, Server, free_port, program, web_server

from atlas_assets.partitions import add_missing_partitions
from atlas_assets.terminal import open_instance
from atlas_assets.work_lists import read_standings
from atlas_resources.contracts import RunManifest
from atlas_resources.dataset import Dataset
from atlas_resources.ledger import why_behind
from atlas_resources.registry import SPECS_DIR, Registry, read_registry
from atlas_resources.runs import MANIFEST_NAME

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

COLOURS = ["red", "green", "blue", "ochre", "teal", "brown", "rose", "ink"]
BAD = {"plate-003", "plate-006"}
GOOD = {"plate-001", "plate-002", "plate-004", "plate-005", "plate-007", "plate-008"}
SETTLE_SECONDS = 240  # a wait, not a claim of speed: two busy cores have taken half of it

# What the code server loads: the project's own definitions, over specs that the test may add to. Its sensors have the
# project's minute cut short, so that the test sees many ticks.
DEFINITIONS = """
from pathlib import Path

from atlas_assets.definitions import build_definitions
from atlas_resources.dataset import dataset_root
from atlas_resources.registry import read_registry

defs = build_definitions(read_registry(Path({specs!r})), dataset_root())
for sensor in defs.sensors:
    sensor._min_interval = 3
"""


def add_spec(specs: Path, key: str, active: list[str]) -> None:
    """A model, as a person adds one: a spec file, and its name in the roster."""
    shutil.copy(SPECS_DIR / f"{key}.yaml", specs)
    (specs / "roster.yaml").write_text(yaml.safe_dump({"active": active}))


class Deployment:
    """The running programs over a dataset."""

    def __init__(self, dataset: Dataset, specs: Path, server: Server):
        self.dataset = dataset
        self.specs = specs
        self.server = server

    @property
    def registry(self) -> Registry:
        return read_registry(self.specs)

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
        """Status, assets and tags of each run, newest first."""
        return self.server.ask(
            """{ runsOrError { ... on Runs { results {
                runId status tags { key value } assetSelection { path } } } } }"""
        )["runsOrError"]["results"]

    def runs_of(self, *path: str) -> list[str]:
        """Status of each run that was asked for an asset, oldest first."""
        found = [run for run in self.runs() if list(path) in [key["path"] for key in run["assetSelection"] or []]]
        return [run["status"] for run in reversed(found)]

    def ticks(self, sensor: str) -> int:
        """How many times a sensor was evaluated to the end; a tick that failed fails the test."""
        ticks = self.server.ask(
            """query($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { ... on Sensor {
                sensorState { ticks { status error { message } } } } } }""",
            selector={**LOCATION, "sensorName": sensor},
        )["sensorOrError"]["sensorState"]["ticks"]
        assert [tick["error"] for tick in ticks if tick["error"]] == []
        return sum(tick["status"] in ("SUCCESS", "SKIPPED") for tick in ticks)

    def failed_plates(self, *path: str) -> set[str]:
        """Plates that the UI shows as failed."""
        answer = self.server.ask(
            """query($path: [String!]!) { assetNodeOrError(assetKey: {path: $path}) { ... on AssetNode {
                assetPartitionStatuses { ... on DefaultPartitionStatuses { failedPartitions } } } } }""",
            path=list(path),
        )
        return set(answer["assetNodeOrError"]["assetPartitionStatuses"]["failedPartitions"])

    def standing(self) -> dict[str, tuple[set[str], set[str]]]:
        """Plates done and plates failed of each active instrument, from plate-local truth."""
        registry = self.registry
        _, *instruments = read_standings(registry, self.dataset, sorted(registry.active))
        return {
            standing.keys[0].to_user_string(): (
                {plate.plate_id for plate in standing.plates if plate.is_done},
                {plate.plate_id for plate in standing.failed},
            )
            for standing in instruments
        }

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while not is_so():
            assert time.monotonic() < deadline, f"{what}: {self.standing()}; {self.runs()}"
            time.sleep(1)

    def is_idle(self) -> bool:
        return all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in self.runs())

    def settle(self, *instruments: str) -> None:
        """Waits until every good plate is done, every bad one has failed, and the ledgers say so."""
        wanted = {instrument: (GOOD, BAD) for instrument in instruments}
        self.wait_until(lambda: self.standing() == wanted, "plates")
        self.wait_until(lambda: not why_behind(self.dataset, self.registry) and self.is_idle(), "ledgers")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory) -> Iterator[Deployment]:
    """Eight plates of which two were altered, one active instrument, and every program running."""
    folder = tmp_path_factory.mktemp("deployed")
    dataset = make_dataset(folder, *COLOURS)
    for plate_id in sorted(BAD):
        alter_source(dataset, plate_id)
    specs, port = folder / "model_specs", free_port()
    specs.mkdir()
    add_spec(specs, "otsu_luma", ["otsu_luma"])
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
        server = programs.enter_context(web_server(dataset, workspace))
        deployment = Deployment(dataset, specs, server)
        deployment.wait_until(lambda: is_loaded(server), "the code location")
        programs.enter_context(program(dataset, BIN / "dagster-daemon", "run", "-w", workspace))
        yield deployment


def is_loaded(server: Server) -> bool:
    """Whether the code location is there; asks for it again if the code server was not up yet."""
    nodes = server.ask("{ assetNodes { id } }")["assetNodes"]
    if not nodes:
        server.ask('mutation { reloadRepositoryLocation(repositoryLocationName: "atlas") { __typename } }')
    return bool(nodes)


@pytest.fixture(scope="module")
def settled(deployed) -> dict[str, list[str]]:
    """After one instrument was filled, another added and filled too. Runs of each as they were before the addition."""
    deployed.switch_on("fill_missing")
    deployed.switch_on("refresh_ledgers")
    deployed.settle("segments/otsu_luma")
    before = {plate_id: run_folders(deployed.dataset, plate_id) for plate_id in deployed.dataset.plate_ids()}
    add_spec(deployed.specs, "efficientnet_lite0", ["efficientnet_lite0", "otsu_luma"])
    deployed.reload()
    deployed.settle("embeddings/efficientnet_lite0", "segments/otsu_luma")
    return before


def test_each_instrument_was_asked_for_in_one_run(deployed, settled):
    assert deployed.runs_of("segments", "otsu_luma") == ["FAILURE"]
    assert deployed.runs_of("embeddings", "efficientnet_lite0") == ["FAILURE"]


def test_the_groundwork_was_asked_for_in_one_run(deployed, settled):
    assert deployed.runs_of("plate", "input_image") == ["FAILURE"]


def test_every_good_plate_was_done_once_and_every_bad_one_failed_once(deployed, settled):
    for plate_id in deployed.dataset.plate_ids():
        names = run_folders(deployed.dataset, plate_id)
        manifests = [
            deployed.dataset.read_json(deployed.dataset.runs_dir(plate_id) / name / MANIFEST_NAME, RunManifest)
            for name in names
        ]
        status = "failed" if plate_id in BAD else "complete"
        assert sorted((manifest.instrument.key, manifest.status) for manifest in manifests) == [
            ("efficientnet_lite0", status),
            ("otsu_luma", status),
        ]
        assert set(settled[plate_id]) < set(names)


@pytest.mark.parametrize(
    "path", [("segments", "otsu_luma"), ("embeddings", "efficientnet_lite0"), ("plate", "input_image")]
)
def test_the_ui_shows_exactly_the_bad_plates_as_failed(deployed, settled, path):
    assert deployed.server.plates(*path) == GOOD
    assert deployed.failed_plates(*path) == BAD


def test_the_ledgers_were_refreshed_and_the_runs_succeeded(deployed, settled):
    assert set(deployed.runs_of("catalogue")) == {"SUCCESS"}
    assert why_behind(deployed.dataset, deployed.registry) == ""


def test_no_more_runs_come_in_the_next_ticks(deployed, settled):
    runs, filled, refreshed = len(deployed.runs()), deployed.ticks("fill_missing"), deployed.ticks("refresh_ledgers")
    deployed.wait_until(lambda: deployed.ticks("fill_missing") >= filled + 2, "two more ticks")
    deployed.wait_until(lambda: deployed.ticks("refresh_ledgers") >= refreshed + 2, "two more ticks")
    assert len(deployed.runs()) == runs
