"""Web server, code server and daemon as deployed: sensors on, two bad plates, and a model added while they run.

In the end every good plate is done once, two have failed by name, the ledgers are up to date, and no more runs come.
"""

from collections.abc import Iterator

import pytest
from support.deployed import Deployment, add_spec, deployment
from support.made_datasets import alter_source, make_dataset, run_folders

from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import MANIFEST_NAME

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

COLOURS = ["red", "green", "blue", "ochre", "teal", "brown", "rose", "ink"]
BAD = {"plate-003", "plate-006"}
GOOD = {"plate-001", "plate-002", "plate-004", "plate-005", "plate-007", "plate-008"}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory) -> Iterator[Deployment]:
    """Eight plates of which two were altered, one active instrument, and every program running."""
    folder = tmp_path_factory.mktemp("deployed")
    dataset = make_dataset(folder, *COLOURS)
    for plate_id in sorted(BAD):
        alter_source(dataset, plate_id)
    with deployment(dataset, folder, "otsu_luma") as running:
        yield running


@pytest.fixture(scope="module")
def settled(deployed) -> dict[str, list[str]]:
    """One instrument is completed, then another is added and completed. Returns the runs before that."""
    deployed.switch_on("fill_missing")
    deployed.switch_on("refresh_ledgers")
    deployed.settle("segments/otsu_luma", good=GOOD, bad=BAD)
    before = {plate_id: run_folders(deployed.dataset, plate_id) for plate_id in deployed.dataset.plate_ids()}
    add_spec(deployed.specs, "efficientnet_lite0", ["efficientnet_lite0", "otsu_luma"])
    deployed.reload()
    deployed.settle("embeddings/efficientnet_lite0", "segments/otsu_luma", good=GOOD, bad=BAD)
    return before


def test_each_instrument_was_requested_in_one_run(deployed, settled):
    assert deployed.runs_of("segments", "otsu_luma") == ["FAILURE"]
    assert deployed.runs_of("embeddings", "efficientnet_lite0") == ["FAILURE"]


def test_the_groundwork_was_requested_in_one_run(deployed, settled):
    assert deployed.runs_of("plate", "input_image") == ["FAILURE"]


def test_every_good_plate_was_done_once_and_every_bad_one_failed_once(deployed, settled):
    for plate_id in deployed.dataset.plate_ids():
        names = run_folders(deployed.dataset, plate_id)
        manifests = [
            read_json(deployed.dataset.plate(plate_id).runs_folder / name / MANIFEST_NAME, RunManifest)
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


def test_the_ledgers_were_refreshed_once_after_each_instrument(deployed, settled):
    assert deployed.runs_of("catalogue") == ["SUCCESS", "SUCCESS"]
    assert why_behind(deployed.dataset, deployed.registry) == ""


def test_no_more_runs_come_in_the_next_ticks(deployed, settled):
    runs, filled, refreshed = len(deployed.runs()), deployed.ticks("fill_missing"), deployed.ticks("refresh_ledgers")
    deployed.wait_until(lambda: deployed.ticks("fill_missing") >= filled + 2, "two more ticks")
    deployed.wait_until(lambda: deployed.ticks("refresh_ledgers") >= refreshed + 2, "two more ticks")
    assert len(deployed.runs()) == runs
