"""Which files to register, and which row of which index describes each. Opens no image and writes nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.plates.intake.scan_index import (
    INDEX_NAMES,
    IndexBroken,
    IndexRow,
    RowRefused,
    ScanIndex,
    find_index,
)

# Suffixes of the files in a folder that are tried as scans; a file named on its own is always tried. Whether a file is
# accepted depends on its content.
SCAN_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp",
    ".gif", ".bmp", ".jp2", ".jpx", ".heic", ".heif", ".avif", ".psd", ".tga", ".ppm", ".pgm", ".pbm", ".dng",
})  # fmt: skip

Indexes = dict[Path, ScanIndex | IndexBroken | None]


@dataclass(frozen=True)
class Scan:
    """A file to register, with its row of an index. `refusal` says why, if its path or its row already rules it out."""

    path: Path
    row: IndexRow | None = None
    refusal: str | None = None


def plan_scans(paths: list[Path]) -> tuple[list[Scan], list[ScanIndex]]:
    """Every scan with its row, in order, and the indexes that were read."""
    indexes: Indexes = {}
    found = [
        (file, argument if argument.is_dir() else argument.parent)
        for argument in paths
        for file in list_scans(argument)
    ]
    scans: list[Scan] = []
    reported: set[Path] = set()
    for path, folder in found:
        try:
            scans.append(Scan(path, find_row(path, folder, indexes)))
        except IndexBroken as error:
            if error.path not in reported:
                scans.append(
                    Scan(error.path, refusal=f"{error.reason}. The scans under it are registered once that is done")
                )
            reported.add(error.path)
        except RowRefused as refusal:
            scans.append(Scan(path, refusal=str(refusal)))
    return refuse_shared_rows(scans), [index for index in indexes.values() if isinstance(index, ScanIndex)]


def list_scans(argument: Path) -> Iterator[Path]:
    """The file itself, or the scans in a folder and its subfolders. Links are followed; no folder is entered twice."""
    if not argument.is_dir():
        yield argument
        return
    entered: set[Path] = set()
    pending = [argument]
    while pending:
        path = pending.pop()
        if path.is_dir():
            if path.resolve() not in entered:
                entered.add(path.resolve())
                visible = (p for p in path.iterdir() if not p.name.startswith("."))
                pending.extend(sorted(visible, key=natural_order, reverse=True))
        elif path.suffix.lower() in SCAN_SUFFIXES:
            yield path


def natural_order(path: Path) -> list[tuple[int, str]]:
    """A sort key that compares digits as numbers: plate-2 comes before plate-10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]


def find_row(path: Path, folder: Path, indexes: Indexes) -> IndexRow | None:
    """The scan's row in the nearest index that has one, from the scan's own folder up to `folder`."""
    if path.name in INDEX_NAMES:
        raise RowRefused("is an index, not a scan. Fix: add its folder")
    for place in places_of_index(path, folder):
        index = read_once(place, indexes)
        row = index.find_row(path) if index else None
        if index and row:
            index.require_sole_claim(row)
            return row
    return None


def places_of_index(path: Path, folder: Path) -> Iterator[Path]:
    """The folders that may contain an index for this scan, nearest first."""
    for place in path.parents:
        yield place
        if place == folder:
            return


def read_once(place: Path, indexes: Indexes) -> ScanIndex | None:
    """The index of a folder, read once and kept in `indexes`, even if it is broken. Raises IndexBroken."""
    if place not in indexes:
        try:
            indexes[place] = find_index(place)
        except IndexBroken as error:
            indexes[place] = error
    index = indexes[place]
    if isinstance(index, IndexBroken):
        raise index
    return index


def refuse_shared_rows(scans: list[Scan]) -> list[Scan]:
    """Refuse scans of the same name in several folders to which one row of an index applies."""
    paths_of_row: dict[int, dict[Path, Path]] = {}
    for scan in scans:
        if scan.row is not None:
            paths_of_row.setdefault(id(scan.row), {})[scan.path.resolve()] = scan.path
    return [refuse_shared_row(scan, list(paths_of_row.get(id(scan.row), {}).values())) for scan in scans]


def refuse_shared_row(scan: Scan, claimants: list[Path]) -> Scan:
    """The scan unchanged, or refused if its row has several `claimants`."""
    if scan.row is None or len(claimants) < 2:
        return scan
    files = " and ".join(str(path) for path in claimants)
    reason = (
        f"{scan.row.where} of the index names {scan.row.file_name}, but there are {files}. Fix: write relative paths"
    )
    return Scan(scan.path, refusal=reason)
