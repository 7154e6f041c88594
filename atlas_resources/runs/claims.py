"""Which process may measure a plate: kernel locks, which a dead process does not hold."""

import fcntl
import shutil
from typing import BinaryIO

from atlas_resources.plates.dataset import Dataset


def is_live(dataset: Dataset, run_id: str) -> bool:
    """Whether a process still works on the run. A dead process holds no lock, however it died."""
    try:
        with (dataset.reports_dir / run_id / ".lock").open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


class Claim:
    """The right to measure one plate with one instrument: one run has it at a time, and it goes with its process."""

    def __init__(self, lock: BinaryIO):
        self._lock = lock

    def release(self) -> None:
        """Lets another run have the plate."""
        self._lock.close()


def claim_plate(dataset: Dataset, plate_id: str, key: str, *, is_patient: bool = False) -> Claim | None:
    """Claims a plate for an instrument, by its key, or for the groundwork.

    None if another run has it, unless one is patient and waits until it has not. The lock is the kernel's, on an empty
    file: a dead process holds none.
    """
    folder = dataset.locks_dir / dataset.plate(plate_id).folder.name
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / key).open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if is_patient else fcntl.LOCK_NB))
    except BlockingIOError:
        lock.close()
        return None
    return Claim(lock)


def sweep_dead(dataset: Dataset, plate_id: str) -> None:
    """Removes what killed runs left half-written on the plate."""
    for partial in dataset.plate(plate_id).runs_folder.glob(".run-*.partial"):
        if not is_live(dataset, partial.name[1:].removesuffix(".partial")):
            shutil.rmtree(partial, ignore_errors=True)
