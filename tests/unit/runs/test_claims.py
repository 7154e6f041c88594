"""One run at a time measures a plate's groundwork; another continues with other plates and then reuses it."""

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
