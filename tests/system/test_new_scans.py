"""Three new scans are three runs: groundwork, everything else that is missing, and one refresh of the ledgers."""

from collections.abc import Iterator

import pytest
from support.deployed import Deployment, deployment
from support.made_datasets import draw_scans

from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.plates.dataset import Dataset

pytestmark = pytest.mark.timeout(600)

PLATES = {"plate-001", "plate-002", "plate-003"}
INSTRUMENTS = ("efficientnet_lite0", "efficientnet_lite0_imagenet", "otsu_luma")  # the second reads the first's results
ASSETS = ("embeddings/efficientnet_lite0", "probes/efficientnet_lite0_imagenet", "segments/otsu_luma")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory) -> Iterator[Deployment]:
    """An empty library with ledgers, every sensor on."""
    folder = tmp_path_factory.mktemp("new_scans")
    dataset = Dataset(folder / "atlas")
    dataset.ensure()
    with deployment(dataset, folder, *INSTRUMENTS) as running:
        for sensor in ("register_new_scans", "fill_missing", "refresh_ledgers"):
            running.switch_on(sensor)
        running.wait_until(lambda: not why_behind(dataset, running.registry) and running.is_idle(), "empty ledgers")
        yield running


@pytest.fixture(scope="module")
def new_runs(deployed) -> list[dict]:
    """The runs that three scans cause, oldest first."""
    before = {run["runId"] for run in deployed.runs()}
    for scan in draw_scans(deployed.dataset.root / "elsewhere", "red", "green", "blue"):
        scan.rename(deployed.dataset.staging_dir / scan.name)
    deployed.settle(*ASSETS, good=PLATES, bad=set())
    ticks = {sensor: deployed.ticks(sensor) for sensor in ("fill_missing", "refresh_ledgers")}
    deployed.wait_until(lambda: all(deployed.ticks(sensor) >= 2 + ticks[sensor] for sensor in ticks), "two more ticks")
    return [run for run in reversed(deployed.runs()) if run["runId"] not in before]


def tags(run: dict) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}


def test_three_scans_are_three_runs(new_runs):
    assert [(tags(run)["atlas/automation"], run["status"]) for run in new_runs] == [
        ("register_new_scans", "SUCCESS"),
        ("fill_missing", "SUCCESS"),
        ("refresh_ledgers", "SUCCESS"),
    ]


def test_an_instrument_and_what_reads_it_share_a_run(new_runs):
    assert {"/".join(key["path"]) for key in new_runs[1]["assetSelection"]} == set(ASSETS)
    assert tags(new_runs[1])["atlas/progress"].startswith("3 of 3 plates: ")


def test_the_ui_shows_every_plate_as_made(deployed, new_runs):
    for asset in ASSETS:
        assert deployed.server.plates(*asset.split("/")) == PLATES
        assert deployed.failed_plates(*asset.split("/")) == set()
