"""Locks are opened so that they also work where flock is emulated by locks on ranges of bytes, as on NFS."""

import errno
import fcntl
import os

import pytest

from atlas_resources.acquisition.store import only_pull
from atlas_resources.files.locking import locked
from atlas_resources.plates.intake import placing
from atlas_resources.plates.intake.placing import open_incoming, sweep_if_dead
from atlas_resources.runs.claims import claim_plate, is_live

FLOCK = fcntl.flock


@pytest.fixture
def locks(monkeypatch) -> list[int]:
    """flock as on NFS (flock(2)): a shared lock needs a file that is open for reading, an exclusive one for writing."""
    taken = []

    def flock(file, operation: int) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        wrong = os.O_WRONLY if operation & fcntl.LOCK_SH else os.O_RDONLY
        if not operation & fcntl.LOCK_UN and mode == wrong:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        taken.append(operation)
        FLOCK(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    return taken


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_file_is_locked_as_nfs_demands(locks, tmp_path, is_shared):
    for _ in range(2):  # the file that is made, and the file that is there
        with locked(tmp_path / "lock", is_shared=is_shared):
            pass
    assert locks == [fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX] * 2


def test_claims_registrations_and_pulls_are_locked_as_nfs_demands(locks, dataset):
    claim = claim_plate(dataset.plate("plate-001"), "segments")
    assert claim is not None
    claim.release()
    run = dataset.reports_dir / "run-1"
    run.mkdir()
    (run / ".lock").touch()
    assert not is_live(run)
    with open_incoming(dataset) as incoming:
        sweep_if_dead(incoming)
        assert incoming.is_dir(), "its own process lives"
    with only_pull(dataset):
        pass
    left = dataset.plates_dir / f"{placing.INCOMING}1-dead"
    left.mkdir()
    (left / "lock").touch()
    sweep_if_dead(left)
    assert not left.exists()
    assert len(locks) >= 5
