"""One run at a time measures a plate's groundwork; another continues with other plates and then reuses it."""

import signal
import subprocess
import sys
from itertools import islice

import pytest

from atlas_assets.roles import groundwork
from atlas_assets.roles.groundwork import CLAIM_KEY, measure_plate
from atlas_assets.roles.works import make_groundwork
from atlas_resources.plates.groundwork import read_groundwork_failure
from atlas_resources.runs.claims import claim_plate
from atlas_resources.runs.stages import Stopwatch


@pytest.fixture
def claim(dataset):
    """plate-002, held by another run."""
    claim = claim_plate(dataset.plate("plate-002"), CLAIM_KEY)
    assert claim is not None
    yield claim
    claim.release()


def test_a_plate_that_another_run_holds_comes_last_and_is_reused(dataset, claim):
    made = make_groundwork(dataset, dataset.plate_ids())
    others = list(islice(made, 4))
    assert [plate.plate_id for plate in others] == ["plate-001", "plate-003", "plate-004", "plate-005"]
    assert not any(plate.status == "reused" for plate in others)
    measure_plate(dataset.plate("plate-002"), Stopwatch())
    claim.release()
    (last,) = made
    assert (last.plate_id, last.status) == ("plate-002", "reused")


def test_a_plate_that_the_other_run_did_not_measure_is_measured(dataset, claim):
    made = make_groundwork(dataset, ["plate-002", "plate-003"])
    next(made)
    claim.release()
    (last,) = made
    assert (last.plate_id, last.status, last.error) == ("plate-002", "complete", None)


def test_every_claim_is_released_when_every_plate_fails(dataset, monkeypatch):
    def refuse(plate, stopwatch):
        raise ArithmeticError("no")

    monkeypatch.setattr(groundwork, "measure_plate", refuse)
    assert all(plate.error for plate in make_groundwork(dataset, dataset.plate_ids()))
    for plate_id in dataset.plate_ids():
        failure = read_groundwork_failure(dataset.plate(plate_id))
        assert failure is not None
        assert failure.attempts == 1
        claimed = claim_plate(dataset.plate(plate_id), CLAIM_KEY)
        assert claimed is not None
        claimed.release()


CLAIM_AND_DIE = """
import os, signal, sys
from pathlib import Path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.claims import claim_plate

claims = [claim_plate(Dataset(Path(sys.argv[1])).plate(plate_id), sys.argv[2], wait=True) for plate_id in sys.argv[3:]]
os.kill(os.getpid(), signal.SIGKILL)
"""


def die_with(dataset, *plate_ids: str) -> None:
    """A process that claims plates and is killed, as when memory runs out."""
    command = [sys.executable, "-c", CLAIM_AND_DIE, str(dataset.root), CLAIM_KEY, *plate_ids]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


def test_plates_that_a_process_died_with_come_last_one_by_one(dataset):
    die_with(dataset, "plate-001", "plate-002")
    made = make_groundwork(dataset, dataset.plate_ids())
    assert [next(made).plate_id for _ in range(3)] == ["plate-003", "plate-004", "plate-005"]
    assert next(made).plate_id == "plate-001"
    untouched = claim_plate(dataset.plate("plate-002"), CLAIM_KEY)
    assert untouched is not None
    assert untouched.deaths == 1, "if plate-001 killed this process too, plate-002 would not be blamed for it"
    untouched.put_off()
    assert [plate.status for plate in made] == ["complete"]


def test_a_plate_that_is_made_is_blamed_no_longer(dataset):
    die_with(dataset, "plate-001")
    list(make_groundwork(dataset, ["plate-001"]))
    again = claim_plate(dataset.plate("plate-001"), CLAIM_KEY)
    assert again is not None
    assert again.deaths == 0
    again.release()


def test_a_plate_that_killed_three_processes_fails_by_name_and_the_others_are_made(dataset):
    for _ in range(3):
        die_with(dataset, "plate-002")
    outcomes = {plate.plate_id: plate for plate in make_groundwork(dataset, dataset.plate_ids())}
    assert {plate_id for plate_id, plate in outcomes.items() if plate.status == "complete"} == {
        *("plate-001", "plate-003", "plate-004", "plate-005")
    }
    assert outcomes["plate-002"].reason.startswith("ProcessDied (compute): 3 processes died, one after another, while")
    failure = read_groundwork_failure(dataset.plate("plate-002"))
    assert failure is not None
    assert failure.attempts == 1
    (retried,) = make_groundwork(dataset, ["plate-002"])
    assert retried.status == "complete", "a retry measures it again"
