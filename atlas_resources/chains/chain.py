"""An append-only log in a folder: reading it as a chain of digests, and appending an entry, whole or not at all.

A log with a changed or missing entry is not read at all: an unreadable entry might be the one that is asked for.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from atlas_resources.files.contract import file_bytes
from atlas_resources.files.durable import make_folder, sweep_leftovers, write_bytes_atomically, write_json_atomically
from atlas_resources.files.hosts.freshness import refresh
from atlas_resources.files.locking import locked
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, parse_json, read_json, read_whole
from atlas_resources.plates.records.tag import TagEntry
from atlas_resources.plates.records.withdrawal import LastEntry, Withdrawal

LAST_NAME = "last.json"
ENTRY_NAME = re.compile(r"(\d{6})-\d{8}-\d{6}Z\.json")

Content = TypeVar("Content", Withdrawal, TagEntry)


@dataclass(frozen=True)
class Entry(Generic[Content]):
    """An entry with its file."""

    path: Path
    sha256: str
    content: Content


def _no_problem(content: object, before: Sequence[object]) -> None:
    """For a log whose entries may follow any others."""


@dataclass(frozen=True)
class Chain(Generic[Content]):
    """A log: `<folder>/<number>-<UTC>.json`, numbered from 1 without gaps, each with the digest of the one before.

    Attributes:
        folder: its folder in the dataset's root.
        contract: the schema of its entries.
        problem: what is wrong with an entry after those before it, besides number and digest; None if nothing is.
    """

    folder: str
    contract: type[Content]
    problem: Callable[[Content, Sequence[Content]], str | None] = _no_problem

    @property
    def fix(self) -> str:
        """How to repair the log."""
        return f"restore {self.folder}/ from a copy; `atlas verify` names each file that differs"

    def paths(self, root: Path) -> list[Path]:
        """The files of the entries of a dataset, by number. Reads none."""
        folder = root / self.folder
        found = folder.glob("*.json") if folder.is_dir() else ()
        return sorted(path for path in found if ENTRY_NAME.fullmatch(path.name))

    def read(self, root: Path) -> tuple[Entry[Content], ...]:
        """Every entry, the oldest first.

        It does not wait for a writer. What looks broken is read again if an entry was appended meanwhile.

        Args:
            root: the dataset's root.

        Raises:
            DatasetBroken: an entry, or the record of the last one, is missing, was changed or does not follow its
                schema.
        """
        while True:
            refresh(root, root / self.folder)
            last = self._read_last(root)
            try:
                entries = self._read_entries(root)
                self._require_last(root, last, entries)
            except DatasetBroken:
                refresh(root / self.folder)
                if self._read_last(root) == last:
                    raise
            else:
                return tuple(entries)

    def _read_last(self, root: Path) -> LastEntry | None:
        path = root / self.folder / LAST_NAME
        return read_json(path, LastEntry) if path.is_file() else None

    def _read_entries(self, root: Path) -> list[Entry[Content]]:
        entries: list[Entry[Content]] = []
        contents: list[Content] = []
        for path in self.paths(root):
            data = read_whole(path)
            entry = Entry(path, hashlib.sha256(data).hexdigest(), parse_json(path, data, self.contract))
            self._require_next(entry, entries)
            if problem := self.problem(entry.content, contents):
                raise DatasetBroken(path, problem, self.fix)
            entries.append(entry)
            contents.append(entry.content)
        return entries

    def is_last_recorded(self, root: Path, entries: tuple[Entry[Content], ...]) -> bool:
        """Whether `last.json` names the newest entry. It does not if a process was killed between the two writes."""
        last = self._read_last(root)
        return not entries or (last is not None and last.number == len(entries))

    def append(self, dataset: Dataset, make: Callable[[tuple[Entry[Content], ...]], Content]) -> Entry[Content]:
        """Appends an entry. One process writes at a time; a killed one leaves the whole entry or none.

        Args:
            dataset: the dataset.
            make: makes the entry from those before it; its number and previous digest are set here. What it raises
                ends the call, and nothing is written.

        Raises:
            DatasetBroken: the log is not whole.
        """
        make_folder(dataset.locks_dir)
        with locked(dataset.locks_dir / self.folder):
            entries = self.read(dataset.root)
            previous = entries[-1].sha256 if entries else None
            content = make(entries).model_copy(update={"number": len(entries) + 1, "previous_sha256": previous})
            folder = dataset.root / self.folder
            path = folder / _file_name(content)
            data = file_bytes(content)
            if folder.is_dir():
                sweep_leftovers(folder)
            write_bytes_atomically(path, data)
            entry = Entry(path, hashlib.sha256(data).hexdigest(), content)
            write_json_atomically(folder / LAST_NAME, LastEntry(number=content.number, sha256=entry.sha256))
        return entry

    def _require_next(self, entry: Entry[Content], before: list[Entry[Content]]) -> None:
        """Raises DatasetBroken unless the entry follows those before it."""
        content, number = entry.content, len(before) + 1
        named = int(entry.path.name[:6])
        if named != number:
            problem = f"expected entry {number} next, found entry {named}: entries were deleted or added"
            raise DatasetBroken(entry.path, problem, self.fix, kind="missing")
        previous = before[-1].sha256 if before else None
        for name, expected, found in (
            ("number", number, content.number),
            ("previous_sha256", previous, content.previous_sha256),
            ("file name", f"{number:06d}{_file_name(content)[6:]}", entry.path.name),
        ):
            if found != expected:
                problem = f"{name}: expected {expected}, found {found}"
                raise DatasetBroken(entry.path, problem, self.fix, kind="altered")

    def _require_last(self, root: Path, last: LastEntry | None, entries: list[Entry[Content]]) -> None:
        """Raises DatasetBroken if `last.json` names an entry that is not there, or none of the last two."""
        path = root / self.folder / LAST_NAME
        if last is None:
            if len(entries) > 1:
                problem = f"expected the record of entry {len(entries)}, found none"
                raise DatasetBroken(path, problem, self.fix, "missing")
            return
        if last.number > len(entries):
            name = f"{last.number:06d}-*.json"
            problem = (
                f"expected entry {last.number}, which {LAST_NAME} names as the newest, found {len(entries)} entries"
            )
            raise DatasetBroken(path.parent / name, problem, self.fix, kind="missing")
        is_behind_by_more = last.number < len(entries) - 1  # one is what a killed process leaves
        if is_behind_by_more or entries[last.number - 1].sha256 != last.sha256:
            problem = (
                f"expected the record of entry {len(entries)}, found entry {last.number} with sha256 {last.sha256}"
            )
            raise DatasetBroken(path, problem, self.fix, kind="altered")


def _file_name(content: Withdrawal | TagEntry) -> str:
    return f"{content.number:06d}-{content.entered_at:%Y%m%d-%H%M%SZ}.json"
