"""Two processes on the same plates with the same instrument: each plate is measured by one and reused by the other."""

import hashlib
import signal
import time
from collections import Counter
from subprocess import TimeoutExpired

import pytest
from support.forked import Forked, begin
from support.made_datasets import make_dataset
from support.sharing import measure_all

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunManifest, RunReport
from atlas_resources.runs.sealed import MANIFEST_NAME

pytestmark = pytest.mark.system

NAMES = ["red", "green", "blue", "ochre", "teal", "brown", "rose", "ink", "plum", "olive", "slate", "gold"]
END_SECONDS = 60


@pytest.fixture
def twelve_plates(tmp_path):
    return make_dataset(tmp_path, *NAMES)


def outcomes(process: Forked) -> dict[str, str]:
    """The status of each plate that the process printed. A process that does not end fails the test."""
    try:
        said = process.communicate(timeout=END_SECONDS)
    except TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("a run waits for ever")
    assert process.returncode == 0
    lines = [line.split() for line in said.splitlines()]
    assert len({plate_id for plate_id, _ in lines}) == len(lines)
    return {plate_id: status for plate_id, status in lines}


def sealed(dataset: Dataset) -> list[RunManifest]:
    """The manifest of each sealed folder, after its files were compared with it."""
    manifests = []
    for folder in sorted(dataset.plates_dir.glob("*/runs/run-*")):
        manifest = read_json(folder / MANIFEST_NAME, RunManifest)
        assert manifest.status == "complete"
        assert (manifest.plate_id, manifest.run_id) == (folder.parents[1].name, folder.name)
        for output in manifest.outputs:
            content = (folder.parents[1] / output.path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == output.sha256
        manifests.append(manifest)
    return manifests


def reports(dataset: Dataset) -> list[RunReport]:
    return [read_json(path, RunReport) for path in sorted(dataset.reports_dir.glob("*/report.json"))]


def test_every_plate_is_sealed_once_and_reused_by_the_other(twelve_plates):
    plates = twelve_plates.plate_ids()
    forwards, backwards = (
        Forked(measure_all, twelve_plates, "forwards"),
        Forked(measure_all, twelve_plates, "backwards"),
    )
    begin(forwards, backwards)
    first, second = outcomes(forwards), outcomes(backwards)

    assert set(first) == set(second) == set(plates)
    assert {plate_id: {first[plate_id], second[plate_id]} for plate_id in plates} == {
        plate_id: {"complete", "reused"} for plate_id in plates
    }
    assert sorted(manifest.plate_id for manifest in sealed(twelve_plates)) == plates
    assert list(twelve_plates.plates_dir.glob("*/runs/.run-*")) == []
    # The processes start at opposite ends, so each measures a share.
    assert "complete" in first.values()
    assert "complete" in second.values()


def test_the_reports_say_what_each_did_and_what_it_reused(twelve_plates):
    processes = Forked(measure_all, twelve_plates, "forwards"), Forked(measure_all, twelve_plates, "backwards")
    begin(*processes)
    for process in processes:
        outcomes(process)
    written = reports(twelve_plates)
    by_run = Counter(manifest.run_id for manifest in sealed(twelve_plates))
    assert len(written) == 2
    for report in written:
        assert report.status == "complete"
        assert len(report.done) == by_run[report.run_id]
        assert sorted(report.done + report.skipped) == twelve_plates.plate_ids()
    assert sorted(written[0].done + written[1].done) == twelve_plates.plate_ids()


def test_in_the_same_order_they_share_all_the_same(twelve_plates):
    processes = Forked(measure_all, twelve_plates, "forwards"), Forked(measure_all, twelve_plates, "forwards")
    begin(*processes)
    first, second = (outcomes(process) for process in processes)
    assert {first[plate_id] + second[plate_id] for plate_id in twelve_plates.plate_ids()} <= {
        "completereused",
        "reusedcomplete",
    }
    assert sorted(manifest.plate_id for manifest in sealed(twelve_plates)) == twelve_plates.plate_ids()


@pytest.mark.parametrize("victim", ["forwards", "backwards"])
def test_when_one_is_killed_in_the_middle_the_other_finishes_all(twelve_plates, victim):
    processes = {order: Forked(measure_all, twelve_plates, order) for order in ("forwards", "backwards")}
    begin(*processes.values())
    killed = processes.pop(victim)
    (survivor,) = processes.values()
    deadline = time.monotonic() + END_SECONDS
    while len(list(twelve_plates.plates_dir.glob("*/runs/run-*"))) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=10)
    assert killed.returncode == -signal.SIGKILL

    finished = outcomes(survivor)
    assert set(finished) == set(twelve_plates.plate_ids())
    assert set(finished.values()) <= {"complete", "reused"}
    assert sorted(manifest.plate_id for manifest in sealed(twelve_plates)) == twelve_plates.plate_ids()
    assert len(reports(twelve_plates)) == 1
