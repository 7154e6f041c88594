"""The record of shards: a text file for each, with a line for each of its plates, in order of arrival.

Plates are added to the last file until it is full; no line is ever removed or moved. The record is about Dagster's
partitions alone: if it is lost, plates are recorded again in order of registration, and events are repaired.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from atlas_resources.files.durable import make_folder, sweep_leftovers, write_bytes_atomically
from atlas_resources.files.locking import locked
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken

FOLDER = "shards"
"""In the dataset's root."""
FILE_NAME = re.compile(r"shard-\d{6,}\.txt")
FIX = f"restore {FOLDER}/ from a copy; or delete it, then call `atlas repair-events`, which records plates anew"


def shard_key(number: int) -> str:
    """The key of a shard, which is Dagster's partition key too. Numbers count from 1."""
    return f"shard-{number:06d}"


@dataclass(frozen=True)
class Shards:
    """The shards of a dataset.

    Attributes:
        plates: the ids of each shard's plates in order of arrival, by the shard's key; deleted plates are still named.
    """

    plates: Mapping[str, tuple[str, ...]]

    @cached_property
    def of_plate(self) -> dict[str, str]:
        """The key of each plate's shard."""
        return {plate_id: key for key, plate_ids in self.plates.items() for plate_id in plate_ids}


@dataclass(frozen=True)
class _Read:
    """What was read of a dataset's record, and what `stat` reported of each file then."""

    statuses: tuple[tuple[int, int, int], ...]
    shards: Shards


_READ: dict[Path, _Read] = {}
"""By the dataset's root. It holds while `stat` reports the same of each file."""


def read_shards(root: Path) -> Shards:
    """The record of a dataset; without a shard if there is none.

    Costs a call of `stat` for each shard if nothing changed since this process last read it.

    Args:
        root: the dataset's root.

    Raises:
        DatasetBroken: a file is missing or cannot be read, or a plate is in two shards.
    """
    paths = _paths(root)
    statuses = tuple(_status(path) for path in paths)
    known = _READ.get(root)
    if known is None or known.statuses != statuses:
        known = _READ[root] = _Read(statuses, Shards(dict(_read(paths))))
        _require_once(root, known.shards)
    return known.shards


def record_plates(dataset: Dataset, plate_ids: Iterable[str], plates_per_shard: int) -> Shards:
    """The record, once it has all these plates: those that are new go to the last shard, then to new ones.

    One process writes at a time, and each file is whole or not there: a killed one has recorded the first plates.

    Args:
        dataset: the dataset.
        plate_ids: plates in order of arrival.
        plates_per_shard: a shard with as many is full. Shards that are full stay as they are if this changes.

    Raises:
        DatasetBroken: as `read_shards`.
    """
    wanted = list(dict.fromkeys(plate_ids))
    known = read_shards(dataset.root)
    if all(plate_id in known.of_plate for plate_id in wanted):
        return known
    make_folder(dataset.locks_dir)
    with locked(dataset.locks_dir / FOLDER):
        folder, shards = dataset.root / FOLDER, read_shards(dataset.root)
        if folder.is_dir():
            sweep_leftovers(folder)
        new = [plate_id for plate_id in wanted if plate_id not in shards.of_plate]
        for key, lines in _filled(shards, new, plates_per_shard):
            write_bytes_atomically(folder / f"{key}.txt", "".join(f"{line}\n" for line in lines).encode())
    return read_shards(dataset.root)


def _filled(shards: Shards, new: list[str], plates_per_shard: int) -> Iterator[tuple[str, list[str]]]:
    """Each shard that gets plates, with all of its plates."""
    number = len(shards.plates)
    if number and (room := plates_per_shard - len(shards.plates[shard_key(number)])) > 0:
        yield shard_key(number), [*shards.plates[shard_key(number)], *new[:room]]
        new = new[room:]
    for start in range(0, len(new), plates_per_shard):
        number += 1
        yield shard_key(number), new[start : start + plates_per_shard]


def _paths(root: Path) -> list[Path]:
    folder = root / FOLDER
    found = [path for path in folder.iterdir() if FILE_NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=lambda path: int(path.stem.removeprefix("shard-")))


def _status(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _read(paths: list[Path]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for number, path in enumerate(paths, start=1):
        if path.stem != shard_key(number):
            raise DatasetBroken(path.with_stem(shard_key(number)), f"missing, and {path.name} is there", FIX, "missing")
        try:
            text = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetBroken(path, f"cannot be read: {error}", FIX) from error
        if not text.endswith("\n"):
            raise DatasetBroken(path, "expected a line for each plate, found one that is cut", FIX, "altered")
        yield path.stem, tuple(text.splitlines())


def _require_once(root: Path, shards: Shards) -> None:
    """Raises DatasetBroken if a plate is in two shards or twice in one."""
    if sum(map(len, shards.plates.values())) == len(shards.of_plate):
        return
    seen: dict[str, str] = {}
    for key, plate_ids in shards.plates.items():
        for plate_id in plate_ids:
            if plate_id in seen:
                _READ.pop(root, None)
                problem = f"{plate_id} is named here, and in {seen[plate_id]}.txt"
                raise DatasetBroken(root / FOLDER / f"{key}.txt", problem, FIX, "altered")
            seen[plate_id] = key
