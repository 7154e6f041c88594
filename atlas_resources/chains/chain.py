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
from atlas_resources.sharing.layout import log_key
from atlas_resources.sharing.worker import shared
from atlas_resources.store.protocol import AlreadyWritten, KeyMissing, Store

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
            StoreUnreachable: the dataset's store does not answer. The entry may be in it; it is fetched later.
        """
        make_folder(dataset.locks_dir)
        of_dataset = shared(dataset)
        with locked(dataset.locks_dir / self.folder):
            while True:
                if of_dataset:
                    self._fetch(dataset.root, of_dataset.store)
                entries = self.read(dataset.root)
                previous = entries[-1].sha256 if entries else None
                content = make(entries).model_copy(update={"number": len(entries) + 1, "previous_sha256": previous})
                data = file_bytes(content)
                try:
                    if of_dataset:
                        of_dataset.store.write_once(log_key(self.folder, content.number), data)
                except AlreadyWritten:
                    continue  # another machine appended an entry of this number: it is fetched, and made again after it
                return self._write(dataset.root, content, data)

    def fetch(self, dataset: Dataset, store: Store) -> None:
        """Fetches the entries that a store has and this machine has not.

        Raises:
            DatasetBroken: the two logs are not one, or the log here is not whole.
            StoreUnreachable: the store does not answer.
        """
        make_folder(dataset.locks_dir)
        with locked(dataset.locks_dir / self.folder):
            self._fetch(dataset.root, store)

    def push(self, dataset: Dataset, store: Store) -> int:
        """Writes the entries that a store has not; returns how many. Raises DatasetBroken if the logs are not one."""
        make_folder(dataset.locks_dir)
        with locked(dataset.locks_dir / self.folder):
            written = 0
            for entry in self.read(dataset.root):
                try:
                    written += store.write_once(log_key(self.folder, entry.content.number), read_whole(entry.path))
                except AlreadyWritten as error:
                    raise self._forked(entry) from error
            return written

    def _fetch(self, root: Path, store: Store) -> None:
        entries = self.read(root)
        if entries:
            try:
                stored = store.read(log_key(self.folder, len(entries))).content
            except KeyMissing as error:
                problem = f"is not in {store.address}"
                raise DatasetBroken(entries[-1].path, problem, "`atlas store push`", kind="missing") from error
            if hashlib.sha256(stored).hexdigest() != entries[-1].sha256:
                raise self._forked(entries[-1])
        number = len(entries) + 1
        while True:
            try:
                data = store.read(log_key(self.folder, number)).content
            except KeyMissing:
                break
            content = parse_json(root / self.folder / log_key(self.folder, number), data, self.contract)
            self._write(root, content, data)
            number += 1
        self.read(root)

    def _forked(self, entry: Entry[Content]) -> DatasetBroken:
        problem = f"entry {entry.content.number} is another one in the store: both were appended without the other"
        fix = f"move {self.folder}/ away, `atlas store pull`, and enter again what was entered here"
        return DatasetBroken(entry.path, problem, fix, kind="altered")

    def _write(self, root: Path, content: Content, data: bytes) -> Entry[Content]:
        """Writes an entry, and that it is the last."""
        folder = root / self.folder
        path = folder / _file_name(content)
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
