"""The files that runs in progress write: each has a number, held by a kernel lock, so that labels stay few.

A run takes the lowest number that no other run on the machine holds, and goes on with the counts of the last run that
held it. The kernel releases the number of a process that dies.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MOST = 1000
"""More runs than this are not in progress on one machine: the folder cannot be locked."""


@dataclass(frozen=True)
class Slot:
    """A number that this process holds.

    Attributes:
        name: the number, as a label.
        path: the file to write.
        unfinished: present while a run writes the file; a process that ends before its run leaves it.
    """

    name: str
    path: Path
    unfinished: Path


@contextmanager
def take_slot(folder: Path) -> Iterator[Slot]:
    """Holds the lowest free number while the block runs. Makes the folder.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(MOST):
        with slot_of(folder, number) as slot:
            if slot is not None:
                yield slot
                return
    raise OSError(f"{folder}: no file of {MOST} could be locked")


@contextmanager
def slot_of(folder: Path, number: int) -> Iterator[Slot | None]:
    """Holds a number while the block runs; None if a run in progress holds it."""
    name = f"atlas_run_{number}"
    with (folder / f".{name}.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield Slot(str(number), folder / f"{name}.prom", folder / f".{name}.unfinished")


def left_behind(folder: Path) -> Iterator[Slot]:
    """Each number whose process ended before its run, held while it is looked at."""
    for path in sorted(folder.glob(".atlas_run_*.unfinished")):
        number = path.name.removeprefix(".atlas_run_").removesuffix(".unfinished")
        if number.isdigit():
            with slot_of(folder, int(number)) as slot:
                if slot is not None and path.exists():
                    yield slot
