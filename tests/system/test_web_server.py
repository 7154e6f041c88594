"""Dagster's real web server over the project's workspace: the graph, the state of each plate, and runs from it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.made_datasets import make_dataset
from support.served import BIN, LOCATION, Server, program, web_server

from atlas_assets.in_process.instance import open_instance
from atlas_assets.in_process.materializing import materialize
from atlas_resources.files.project import PROJECT_ROOT, SETTINGS_FOLDER
from atlas_resources.instruments.registry import read_registry
from atlas_resources.plates.dataset import Dataset

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

WORKSPACE = SETTINGS_FOLDER / "workspace.yaml"


def sealed(dataset: Dataset, plate_id: str) -> list[str]:
    """The names of the entries of the plate's `runs/`."""
    runs = dataset.plate(plate_id).runs_folder
    return sorted(path.name for path in runs.iterdir()) if runs.is_dir() else []


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


@pytest.fixture(scope="module")
def server(home) -> Iterator[Server]:
    with web_server(home, WORKSPACE) as server:
        yield server


@pytest.fixture(scope="module")
def backfill_id(server, home) -> str:
    """A backfill of the groundwork over every plate, launched before the daemon, which polls every 30 s, is started."""
    return server.launch_backfill([["plate", "input_image"], ["plate", "input_color_histograms"]], home.plate_ids())


@pytest.fixture(scope="module")
def _daemon(home, backfill_id) -> Iterator[None]:
    """The daemon, which starts the runs that the web server queues. `dagster dev` has one too."""
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
    assert groups["ledger/runs"] == "ledger_runs"
    assert groups["ledger/plates"] == "ledger_plates"
    assert groups["ledger/segments"] == "ledger_results"
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
    identity = read_registry().instruments["efficientnet_lite0"].identity
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


def test_the_saved_selections_are_jobs(server):
    answer = server.ask(
        "query($selector: RepositorySelector!) { repositoryOrError(repositorySelector: $selector) "
        "{ ... on Repository { jobs { name description } } } }",
        selector=LOCATION,
    )
    descriptions = {job["name"]: job["description"] for job in answer["repositoryOrError"]["jobs"]}
    assert "atlas run @groundwork" in descriptions["materialise_groundwork"]
    assert "the instruments that read it, and every ledger" in descriptions["materialise_otsu_luma"]


@pytest.mark.usefixtures("_daemon")
def test_a_backfill_from_a_terminal_goes_through_the_daemons_queue(server, home):
    """It requests the plates that earlier tests have not measured."""
    command = [sys.executable, "-m", "atlas_assets.cli.app", "backfill", "otsu_luma", "--url", server.url]
    done = subprocess.run(
        [*command, "--follow"], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.plates("segments", "otsu_luma") == {"plate-001", "plate-002", "plate-003", "plate-004"}
    assert all(len(sealed(home, plate_id)) == 1 for plate_id in home.plate_ids())
