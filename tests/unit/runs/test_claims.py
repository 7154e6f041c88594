"""A plate's groundwork is measured by one run at a time; another goes on with its others and then reuses it."""

from itertools import islice

import pytest

from atlas_assets.roles import groundwork
from atlas_assets.roles.groundwork import OP_NAME, make_groundwork, measure_plate, read_failure
from atlas_resources.runs.claims import claim_plate


@pytest.fixture
def claim(dataset):
    """plate-002, as another run has it."""
    claim = claim_plate(dataset, "plate-002", OP_NAME)
    assert claim is not None
    yield claim
    claim.release()


def test_a_plate_that_another_run_has_comes_last_and_is_reused(dataset, claim):
    made = make_groundwork(dataset, dataset.plate_ids(), is_forced=False)
    others = list(islice(made, 4))
    assert [plate.plate_id for plate in others] == ["plate-001", "plate-003", "plate-004", "plate-005"]
    assert not any(plate.is_reused for plate in others)
    measure_plate(dataset, "plate-002")
    claim.release()
    (last,) = made
    assert (last.plate_id, last.is_reused) == ("plate-002", True)


def test_a_plate_that_the_other_run_left_undone_is_measured_after_all(dataset, claim):
    made = make_groundwork(dataset, ["plate-002", "plate-003"], is_forced=False)
    next(made)
    claim.release()
    (last,) = made
    assert (last.plate_id, last.is_reused, last.error) == ("plate-002", False, "")


def test_every_claim_is_let_go_of_whatever_became_of_the_plate(dataset, monkeypatch):
    def refuse(dataset, plate_id):
        raise ArithmeticError("no")

    monkeypatch.setattr(groundwork, "measure_plate", refuse)
    assert all(plate.error for plate in make_groundwork(dataset, dataset.plate_ids(), is_forced=False))
    for plate_id in dataset.plate_ids():
        failure = read_failure(dataset, plate_id)
        assert failure is not None
        assert failure.attempts == 1
        claimed = claim_plate(dataset, plate_id, OP_NAME)
        assert claimed is not None
        claimed.release()
