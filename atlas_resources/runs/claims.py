"""Which process may measure a plate, by file locks that the kernel releases when a process dies.

On NFS the server holds the locks of all hosts. It releases those of a host that falls silent when its lease ends.
With ATLAS_STORE a plate is claimed in the store besides, by a lease.
"""

import errno
import fcntl
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from atlas_resources.files.hosts.freshness import refresh
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate
from atlas_resources.sharing.worker import shared_of
from atlas_resources.store.leases import WAIT_SECONDS, Lease


class Claim:
    """The right to measure one plate with one instrument. One run holds it at a time; it ends with the process.

    Attributes:
        deaths: How many processes died, one after another, while they held it. One of them may have died of the plate,
            as when memory ran out.
    """

    def __init__(self, lock: BinaryIO, lease: Lease | None = None):
        """Counts this process among the dead until it releases the claim.

        Args:
            lock: the locked file. It holds the number of processes that died.
            lease: the same claim in the dataset's store; None without one.
        """
        self._lock = lock
        self._lease = lease
        lock.seek(0)
        content = lock.read(8)
        self.deaths = max(int(content) if content.isdigit() else 0, lease.deaths if lease else 0)
        self._write(self.deaths + 1)

    def release(self) -> None:
        """Releases the plate to other runs: this process has not died of it."""
        self._close(0)

    def put_off(self) -> None:
        """Releases the plate without having measured it."""
        self._close(self.deaths)

    def _close(self, deaths: int) -> None:
        if not self._lock.closed:
            self._write(deaths)
            if self._lease is not None:
                self._lease.give_back(deaths)
            self._lock.close()

    def _write(self, deaths: int) -> None:
        with suppress(OSError):  # on a full disk nobody is counted; sealing says that it is full
            self._lock.truncate(0)
            self._lock.write(str(deaths).encode() if deaths else b"")
            self._lock.flush()


def claim_plate(plate: Plate, key: str, *, wait: bool = False) -> Claim | None:
    """Claims a plate for an instrument, by its key, or for the groundwork.

    Returns None if another run holds the plate; with `wait`, waits for it. The lock is an flock on a file, which the
    kernel releases when the process dies; with a store, also a lease in it, which ends when it is not renewed.

    Raises:
        StoreUnreachable: the dataset's store does not answer.
    """
    plate.locks_folder.mkdir(parents=True, exist_ok=True)
    lock = (plate.locks_folder / key).open("a+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        lock.close()
        return None
    refresh(plate.folder, plate.runs_folder, plate.folder / "derived")  # what the holder before has made of the plate
    try:
        lease = _lease(plate, key, wait=wait)
    except BaseException:
        lock.close()
        raise
    if lease is None and shared_of(plate) is not None:
        lock.close()
        return None
    return Claim(lock, lease)


def _lease(plate: Plate, key: str, *, wait: bool) -> Lease | None:
    """The lease on a plate in the dataset's store; None without a store, or if another worker holds it."""
    store = shared_of(plate)
    if store is None:
        return None
    while (lease := store.claim(plate, key)) is None and wait:
        time.sleep(WAIT_SECONDS)
    return lease


def is_live(report_folder: Path) -> bool:
    """Whether a process is still working on the run of a report folder. The kernel releases a dead process's lock."""
    try:
        with (report_folder / ".lock").open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return True  # another host removed the file just now; whether the run has ended is seen at the next look
    return False


def sweep_dead(dataset: Dataset, plate: Plate) -> None:
    """Removes the partial run folders that killed runs left in the plate's folder."""
    for partial in plate.runs_folder.glob(".run-*.partial"):
        if not is_live(dataset.reports_dir / partial.name[1:].removesuffix(".partial")):
            shutil.rmtree(partial, ignore_errors=True)
