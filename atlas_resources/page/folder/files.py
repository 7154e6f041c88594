"""The page's folder and its files: each is replaced whole, and only if its content differs."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atlas_resources.files.durable import make_folder
from atlas_resources.files.locking import locked
from atlas_resources.page.state import FOR_COMMERCIAL_USE, MARK, RECORD, is_for_commercial_use

OWN_FOLDERS = ("data/plates", "data/sprites", "pictures", "assets")
"""Folders in which every file is the page's: what it does not have any more is removed."""


@dataclass
class PageFolder:
    """A folder that a page is written to.

    Attributes:
        path: the folder.
        names: files of the present page that were written or found the same, relative to it.
        written_count: how many of them were written.
    """

    path: Path
    names: set[str] = field(default_factory=set)
    written_count: int = 0

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file whole, unless it has this content.

        Nothing is flushed to disk: all of it can be made again, and the next page compares every content with its file.
        """
        self.names.add(name)
        if self.read(name) == content:
            return
        path = self.path / name
        if not self.written_count:
            (self.path / RECORD).unlink(missing_ok=True)
        self.written_count += 1
        make_folder(path.parent)
        beside = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.tmp")
        try:
            beside.write_bytes(content)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)

    def write_value(self, name: str, value: Any) -> None:
        """Writes a data file, `<name>.js` under `data`: a script that hands over a value under its name."""
        self.write(f"data/{name}.js", script(name, value))

    def read(self, name: str) -> bytes | None:
        """A file's content; None if there is none."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def read_value(self, name: str) -> Any:
        """The value of a data file; None if there is none that can be read."""
        content = self.read(f"data/{name}.js") or b""
        before, after = _around(name)
        try:
            return json.loads(content.removeprefix(before).removesuffix(after))
        except ValueError:
            return None

    def keep(self, name: str) -> bool:
        """Whether a file is there; it is then part of the present page."""
        is_there = (self.path / name).is_file()
        if is_there:
            self.names.add(name)
        return is_there

    def remove_others(self) -> int:
        """Removes what is not of the present page from its own folders, and what killed processes left."""
        removed = 0
        for name in ("", "data", *OWN_FOLDERS):
            folder = self.path / name
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                is_left = path.name.startswith(".") and path.name.endswith(".tmp")
                is_old = name in OWN_FOLDERS and path.relative_to(self.path).as_posix() not in self.names
                if (is_left or is_old) and (path.is_file() or path.is_symlink()):
                    path.unlink()
                    removed += 1
        return removed

    @property
    def size_bytes(self) -> int:
        """Bytes of the present page's files."""
        return sum((self.path / name).stat().st_size for name in self.names)


@contextmanager
def open_folder(path: Path, is_commercial: bool) -> Iterator[PageFolder]:
    """The folder of a page, which no other process writes to meanwhile. It is created if missing.

    Raises:
        ValueError: as `require_page_folder`.
    """
    require_page_folder(path, is_commercial)
    make_folder(path)
    with locked(path / MARK):
        if is_commercial:
            (path / MARK).write_bytes(FOR_COMMERCIAL_USE)
        yield PageFolder(path)


def require_page_folder(path: Path, is_commercial: bool) -> None:
    """Raises ValueError for a folder that a page may not be written to.

    That is one that is not empty and not a page of Atlas, one that leads elsewhere, and one with a page for commercial
    use, if this one is not: it may be published, and would then show what its licence does not allow.
    """
    if not is_commercial and is_for_commercial_use(path):
        raise ValueError(
            f"{path}: expected a page of everything, found one for commercial use. Fix: add --commercial, or name "
            "another folder with --to"
        )
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path}: expected a folder, found a file. Fix: name another folder with --to")
    if path.is_dir() and not (path / MARK).is_file() and any(path.iterdir()):
        raise ValueError(
            f"{path}: expected an empty folder or a page of Atlas (with the file {MARK}), found other files, which "
            "stay as they are. Fix: name another folder with --to"
        )
    for name in ("data", *OWN_FOLDERS):
        if (path / name).is_symlink():
            raise ValueError(f"{path / name}: expected a folder of the page, found a link. Fix: remove the link")


def script(name: str, value: Any) -> bytes:
    """A script, ASCII, that calls `receiveAtlas` with a name and a value.

    What could end a script element, or a line of a script, is escaped: texts come from models and indexes.
    """
    before, after = _around(name)
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return before + text.encode("ascii") + after


def _around(name: str) -> tuple[bytes, bytes]:
    return f"receiveAtlas({json.dumps(name)},".encode("ascii"), b");\n"
