"""The append-only log in `withdrawals/`: reading it as a chain of digests, and appending an entry, whole or not at all.

A log with a changed or missing entry is not read at all: an unreadable entry might withdraw what is asked for.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.files.contract import file_bytes
from atlas_resources.files.durable import make_folder, sweep_leftovers, write_bytes_atomically, write_json_atomically
from atlas_resources.files.locking import locked
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, parse_json, read_json, read_whole
from atlas_resources.plates.records.withdrawal import LastEntry, Withdrawal

FOLDER = "withdrawals"
LAST_NAME = "last.json"
ENTRY_NAME = re.compile(r"(\d{6})-\d{8}-\d{6}Z\.json")
RESTORE_FILE = "restore withdrawals/ from a copy; `atlas verify` names each file that differs"


@dataclass(frozen=True)
class Entry:
    """An entry with its file."""

    path: Path
    sha256: str
    content: Withdrawal


def entry_paths(root: Path) -> list[Path]:
    """The files of the entries of a dataset, by number. Reads none."""
    folder = root / FOLDER
    return sorted(path for path in folder.glob("*.json") if ENTRY_NAME.fullmatch(path.name)) if folder.is_dir() else []


def read_log(root: Path) -> tuple[Entry, ...]:
    """Every entry, the oldest first.

    Args:
        root: the dataset's root.

    Raises:
        DatasetBroken: an entry, or the record of the last one, is missing, was changed or does not follow its schema.
    """
    entries: list[Entry] = []
    for path in entry_paths(root):
        data = read_whole(path)
        entry = Entry(path, hashlib.sha256(data).hexdigest(), parse_json(path, data, Withdrawal))
        _require_next(entry, entries)
        entries.append(entry)
    _require_last(root, entries)
    return tuple(entries)


def is_last_recorded(root: Path, entries: tuple[Entry, ...]) -> bool:
    """Whether `last.json` names the newest entry. It does not if a process was killed between the two writes."""
    path = root / FOLDER / LAST_NAME
    return not entries or (path.is_file() and read_json(path, LastEntry).number == len(entries))


def append(dataset: Dataset, make: Callable[[tuple[Entry, ...]], Withdrawal]) -> Entry:
    """Appends an entry. One process writes at a time; a killed one leaves the whole entry or none.

    Args:
        dataset: the dataset.
        make: makes the entry from those before it; its number and previous digest are set here. What it raises ends
            the call, and nothing is written.

    Raises:
        DatasetBroken: the log is not whole.
    """
    make_folder(dataset.locks_dir)
    with locked(dataset.locks_dir / FOLDER):
        entries = read_log(dataset.root)
        previous = entries[-1].sha256 if entries else None
        content = make(entries).model_copy(update={"number": len(entries) + 1, "previous_sha256": previous})
        folder = dataset.root / FOLDER
        path = folder / f"{content.number:06d}-{content.entered_at:%Y%m%d-%H%M%SZ}.json"
        data = file_bytes(content)
        if folder.is_dir():
            sweep_leftovers(folder)
        write_bytes_atomically(path, data)
        entry = Entry(path, hashlib.sha256(data).hexdigest(), content)
        write_json_atomically(folder / LAST_NAME, LastEntry(number=content.number, sha256=entry.sha256))
    return entry


def _require_next(entry: Entry, before: list[Entry]) -> None:
    """Raises DatasetBroken unless the entry follows those before it."""
    content, number = entry.content, len(before) + 1
    named = int(entry.path.name[:6])
    if named != number:
        problem = f"expected entry {number} next, found entry {named}: entries were deleted or added"
        raise DatasetBroken(entry.path, problem, RESTORE_FILE, kind="missing")
    previous = before[-1].sha256 if before else None
    for name, expected, found in (
        ("number", number, content.number),
        ("previous_sha256", previous, content.previous_sha256),
        ("file name", f"{number:06d}-{content.entered_at:%Y%m%d-%H%M%SZ}.json", entry.path.name),
    ):
        if found != expected:
            raise DatasetBroken(entry.path, f"{name}: expected {expected}, found {found}", RESTORE_FILE, kind="altered")
    ended = {one.content.restores for one in before}
    if content.kind == "restore" and (content.restores in ended or content.restores not in withdrawals_in(before)):
        problem = f"restores: expected the number of a withdrawal in force, found {content.restores}"
        raise DatasetBroken(entry.path, problem, RESTORE_FILE)


def withdrawals_in(entries: list[Entry] | tuple[Entry, ...]) -> set[int]:
    """The numbers of the entries that withdraw something, restored since or not."""
    return {entry.content.number for entry in entries if entry.content.kind == "withdraw"}


def _require_last(root: Path, entries: list[Entry]) -> None:
    """Raises DatasetBroken if `last.json` names an entry that is not there, or none of the last two."""
    path = root / FOLDER / LAST_NAME
    if not path.is_file():
        if len(entries) > 1:
            raise DatasetBroken(
                path, f"expected the record of entry {len(entries)}, found none", RESTORE_FILE, "missing"
            )
        return
    last = read_json(path, LastEntry)
    if last.number > len(entries):
        name = f"{last.number:06d}-*.json"
        problem = f"expected entry {last.number}, which {LAST_NAME} names as the newest, found {len(entries)} entries"
        raise DatasetBroken(path.parent / name, problem, RESTORE_FILE, kind="missing")
    is_behind_by_more = last.number < len(entries) - 1  # one is what a killed process leaves
    if is_behind_by_more or entries[last.number - 1].sha256 != last.sha256:
        problem = f"expected the record of entry {len(entries)}, found entry {last.number} with sha256 {last.sha256}"
        raise DatasetBroken(path, problem, RESTORE_FILE, kind="altered")
