"""What processes on another host do in tests. Each says `ready` first, and what it found."""

import sys
import time
from pathlib import Path

from atlas_resources.files.locking import locked
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.claims import claim_plate
from atlas_resources.tables.ledgers import LEDGERS
from support.made_tags import tagged


def hold_claim(dataset: Dataset, plate_id: str, key: str) -> None:
    """Claims a plate and holds it until it is killed or told to go on."""
    claim = claim_plate(dataset.plate(plate_id), key)
    print("held" if claim else "busy", flush=True)
    sys.stdin.readline()
    if claim:
        claim.release()


def hold_lock(path: Path, is_shared: bool) -> None:
    """Holds a lock on a file until told to go on."""
    with locked(path, is_shared=is_shared):
        print("held", flush=True)
        sys.stdin.readline()


def count_locked(path: Path, lock: Path, times: int) -> None:
    """Adds one to the number in a file, again and again, each time under a lock."""
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(times):
        with locked(lock):
            path.write_text(str(int(path.read_text()) + 1))


def tag_all(dataset: Dataset, tag: str, plate_ids: list[str]) -> None:
    """Tags plates, one entry in the log for each."""
    print("ready", flush=True)
    sys.stdin.readline()
    for plate_id in plate_ids:
        tagged(dataset, plate_id, tag)


def register(dataset: Dataset, scans: list[Path]) -> None:
    """Registers scans one by one."""
    print("ready", flush=True)
    sys.stdin.readline()
    for scan in scans:
        for registration in register_scans(dataset, [scan]):
            print(registration.plate_id, registration.status, registration.reason, flush=True)


def read_segments(dataset: Dataset, seconds: float) -> None:
    """Reads a ledger for some seconds; prints every number of rows that it found."""
    print("ready", flush=True)
    sys.stdin.readline()
    found, end = set(), time.monotonic() + seconds
    while time.monotonic() < end:
        found.add(read_ledger(dataset, LEDGERS["segments"]).height)
    print(*sorted(found), flush=True)
