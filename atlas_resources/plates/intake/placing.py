"""Building a plate's folder in a hidden folder, then moving it into place by one rename."""

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO

from atlas_resources.files.contract import file_bytes
from atlas_resources.files.durable import sync_folder, write_synced
from atlas_resources.files.locking import locked
from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.dataset import Dataset

GATE_NAME = ".registration.lock"
INCOMING = ".incoming-"
"""What the names of registrations in progress begin with, in the folder of plates."""
CHUNK_BYTES = 1 << 20


class RegistrationRefused(ValueError):
    """A scan that cannot become a plate. The message is one line without the scan's name."""


def place_plate(dataset: Dataset, incoming: Path, manifest: PlateManifest, scan: Path, sha256: str) -> None:
    """Build the plate's folder in `incoming`, flush it, and move it into place by one rename.

    Raises:
        RegistrationRefused: The scan's bytes changed after they were validated.
        OSError: The folder cannot be written, or a folder of that name exists. What was written is removed.
    """
    building = incoming / manifest.plate_id
    try:
        (building / "source").mkdir(parents=True)
        if copy_durably(scan, building / "source" / manifest.source_image) != sha256:
            raise RegistrationRefused("changed while it was being registered. Fix: add it again when it is complete")
        write_synced(building / "source.sha256", f"{sha256}  source/{manifest.source_image}\n".encode())
        write_synced(building / "manifest.json", file_bytes(manifest))
        sync_folder(building / "source")
        sync_folder(building)
        os.rename(building, dataset.plate(manifest.plate_id).folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    sync_folder(dataset.plates_dir)


def copy_durably(scan: Path, target: Path) -> str:
    """Copy a file to a new read-only file, flushed to disk. Returns the sha256 of the copied bytes."""
    digest = hashlib.sha256()
    with scan.open("rb") as source, target.open("xb") as copy:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fchmod(copy.fileno(), 0o444)
        os.fsync(copy.fileno())
    return digest.hexdigest()


def registration_gate(dataset: Dataset) -> AbstractContextManager[IO[bytes]]:
    """Waits for the dataset's registration lock and holds it."""
    return locked(dataset.plates_dir / GATE_NAME)


@contextmanager
def registration_turn(dataset: Dataset, incoming: Path) -> Iterator[bool]:
    """Holds the registration lock while one plate is placed.

    The lock's file names the registration that had the last turn: plates are listed again only if it was another.

    Args:
        dataset: the dataset.
        incoming: the folder of this registration, from `open_incoming`.

    Yields:
        Whether another registration had a turn since the last of this one, and so may have placed plates.
    """
    with registration_gate(dataset) as gate:
        yield not is_last(gate.fileno(), incoming)


def is_last(gate: int, incoming: Path) -> bool:
    """Whether this registration had the last turn; if not, the lock's file names it from now on.

    Args:
        gate: file descriptor of the lock's file, opened for appending.
        incoming: the folder of this registration.
    """
    name = os.fsencode(incoming.name)
    if os.pread(gate, len(name) + 1, 0) == name:
        return True
    os.ftruncate(gate, 0)
    with suppress(OSError):  # on a full disk the file stays empty, and plates are listed again at each turn
        os.write(gate, name)
    return False


@contextmanager
def open_incoming(dataset: Dataset) -> Iterator[Path]:
    """Yields a hidden folder in `plates_structured/` to build plates in, and removes it afterwards.

    Opening it is the first turn of a registration: plates that others place later are told by `registration_turn`.

    Folders of dead processes are removed first. A live process holds a lock on its folder's file `lock`; the kernel
    releases it however the process ends.
    """
    incoming = dataset.plates_dir / f"{INCOMING}{os.getpid()}-{secrets.token_hex(4)}"
    with registration_turn(dataset, incoming):
        for leftover in dataset.plates_dir.glob(f"{INCOMING}*"):
            sweep_if_dead(leftover)
        incoming.mkdir()
        lock = (incoming / "lock").open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield incoming
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
        lock.close()


def sweep_if_dead(leftover: Path) -> None:
    """Remove a registration's folder unless its process still holds its lock."""
    try:
        with (leftover / "lock").open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    except FileNotFoundError:
        pass  # killed before it had a lock; no other process makes one now, since this one holds the gate
    shutil.rmtree(leftover, ignore_errors=True)
