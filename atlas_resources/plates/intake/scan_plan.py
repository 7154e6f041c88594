"""Which files to register, and which row of which index describes each. Opens no image and writes nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.plates.contracts import Origin
from atlas_resources.plates.intake.index.choice import IndexReport, ScanNames, choose_index, read_given_index, report
from atlas_resources.plates.intake.index.reading import INDEX_SUFFIXES, is_index_like
from atlas_resources.plates.intake.index.rows import IndexRow, RowRefused, ScanIndex, listed
from atlas_resources.plates.intake.index.table import IndexBroken

# Suffixes of the files in a folder that are tried as scans; a file named on its own is always tried. Whether a file is
# accepted depends on its content.
SCAN_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp",
    ".gif", ".bmp", ".jp2", ".jpx", ".heic", ".heif", ".avif", ".psd", ".tga", ".ppm", ".pgm", ".pbm", ".dng",
})  # fmt: skip

# Their files are no data, some wait for ever to be read, and there is no end to their folders.
SYSTEM_FOLDERS = (Path("/proc"), Path("/sys"))

FoundRow = tuple[ScanIndex, IndexRow]
Indexes = dict[Path, ScanIndex | IndexBroken | None]


@dataclass(frozen=True)
class Scan:
    """A page of a file to register, with its row of an index.

    Attributes:
        path: The file.
        names: Its names and paths as an index may have them, the most specific first.
        indexes: The indexes that may describe it, the nearest first.
        refusal: Why its path or an index already rules it out; else None.
        path_in_folder: Its path in the folder that was added; None for a file that was named on its own.
        origin: Where it was downloaded from; None for a file that was there.
    """

    path: Path
    names: tuple[str, ...] = ()
    indexes: tuple[ScanIndex, ...] = ()
    refusal: str | None = None
    path_in_folder: Path | None = None
    origin: Origin | None = None

    def find_row(self, page: int | None = None) -> FoundRow | None:
        """The row of a page, in the nearest index that has one, and that index. Raises RowRefused.

        Args:
            page: Counted from 1; None for the first or only page.
        """
        for index in self.indexes:
            row = index.find_row(self.names, page)
            if row:
                index.require_sole_claim(row)
                return index, row
        return None


@dataclass(frozen=True)
class Plan:
    """What is to be registered.

    Attributes:
        scans: Every scan, in order, and every index that cannot be read.
        indexes: The indexes that were read.
        reports: What became of every file that looks like an index.
    """

    scans: list[Scan]
    indexes: list[ScanIndex]
    reports: list[IndexReport]


def plan_scans(paths: list[Path], given: Path | None = None) -> Plan:
    """The scans in files and folders, and the indexes that describe them.

    Args:
        paths: Files and folders.
        given: The index of all scans, which is then the only one. None: each scan is described by the nearest index
            that has a row for it, from its own folder up to the folder in `paths`.
    """
    found = [
        (file, argument if is_folder(argument) else argument.parent)
        for argument in paths
        for file in list_scans(argument)
    ]
    under: dict[Path, list[Path]] = {}
    for path, folder in found:
        if refusal_by_path(path) is None:
            for place in places_of_index(path, folder):
                under.setdefault(place, []).append(path)
    if given is not None:
        return plan_by_given(given, found, list(under))
    indexes: Indexes = {}
    reports: list[IndexReport] = []
    for place, scans in under.items():
        indexes[place], of_place = choose_index(place, ScanNames(scans, [place]))
        reports += of_place
    scans = [plan_scan(path, folder, indexes) for path, folder in found]
    broken = [index for index in indexes.values() if isinstance(index, IndexBroken)]
    read = [index for index in indexes.values() if isinstance(index, ScanIndex)]
    return Plan(refuse_shared_rows([*refused_indexes(broken), *(scan for scan in scans if scan)]), read, reports)


def plan_by_given(given: Path, found: list[tuple[Path, Path]], places: list[Path]) -> Plan:
    """The plan by one index for all scans. The other files that look like an index are reported."""
    names = ScanNames([path for path, _ in found], [given.parent, *dict.fromkeys(folder for _, folder in found)])
    others = [
        IndexReport(path, False, f"is not used: --index names {given.name}")
        for place in places
        for path in sorted(place.glob("*"))
        if is_index_like(path) and path.resolve() != given.resolve()
    ]
    try:
        index = read_given_index(given, names)
    except IndexBroken as error:
        return Plan(refused_indexes([error]), [], others)
    scans = [
        Scan(path, tuple(names.of(path)), (index,), refusal_by_path(path), path_in(path, folder))
        for path, folder in found
    ]
    return Plan(refuse_shared_rows(scans), [index], [report(index, names), *others])


def refused_indexes(broken: list[IndexBroken]) -> list[Scan]:
    """Each index that cannot be read, in the place of the scans that it rules out."""
    return [
        Scan(error.path, refusal=f"{error.reason}. The scans under it are registered once that is done")
        for error in broken
    ]


def plan_scan(path: Path, folder: Path, indexes: Indexes) -> Scan | None:
    """A scan with the indexes that may describe it; None for one that an unreadable index rules out."""
    if refusal := refusal_by_path(path):
        return Scan(path, refusal=refusal)
    places = list(places_of_index(path, folder))
    names = tuple(ScanNames([path], places).of(path))
    nearest: list[ScanIndex] = []
    for index in (indexes[place] for place in places):
        if isinstance(index, ScanIndex):
            nearest.append(index)
        elif index is not None and not any(name in nearer.rows_of_name for nearer in nearest for name in names):
            return None
    return Scan(path, names, tuple(nearest), path_in_folder=path_in(path, folder))


def path_in(path: Path, folder: Path) -> Path:
    """The path of a scan in the folder that was added, or that the file named on its own is in."""
    return path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)


def refusal_by_path(path: Path) -> str | None:
    """Why a path is no scan; None if it may be one."""
    if path.suffix.lower() in INDEX_SUFFIXES:
        return "is an index, not a scan. Fix: add its folder, or name it with --index"
    if is_of_system(path):
        return "leads to a folder of the operating system, which has no scans. Fix: remove the link"
    return "is a folder that cannot be listed. Fix: make it readable" if is_folder(path) else None


def is_of_system(path: Path) -> bool:
    """Whether a path is, or leads to, something in SYSTEM_FOLDERS."""
    real = path.resolve()
    return any(real.is_relative_to(folder) for folder in SYSTEM_FOLDERS)


def list_scans(argument: Path) -> Iterator[Path]:
    """The file itself, or the scans in a folder and its subfolders. Links are followed; no folder is entered twice.

    A folder that cannot be listed is in the place of its scans.
    """
    if not is_folder(argument) or is_of_system(argument):
        yield argument
        return
    entered: set[Path] = set()
    pending = [argument]
    while pending:
        path = pending.pop()
        if is_folder(path):
            if path.resolve() not in entered:
                entered.add(path.resolve())
                if is_of_system(path):
                    yield path
                    continue
                try:
                    visible = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
                except OSError:
                    yield path
                    continue
                pending.extend(sorted(visible, key=natural_order, reverse=True))
        elif path.suffix.lower() in SCAN_SUFFIXES:
            yield path


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, as far as may be seen."""
    try:
        return path.is_dir()
    except OSError:
        return False


def natural_order(path: Path) -> list[tuple[int, str]]:
    """A sort key that compares digits as numbers: plate-2 comes before plate-10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]


def places_of_index(path: Path, folder: Path) -> Iterator[Path]:
    """The folders that may contain an index for this scan, nearest first."""
    for place in path.parents:
        yield place
        if place == folder:
            return


def refuse_shared_rows(scans: list[Scan]) -> list[Scan]:
    """Refuse scans of the same name in several folders to which one row of an index applies."""
    rows: dict[int, IndexRow] = {}
    paths_of_row: dict[int, dict[Path, Path]] = {}
    planned = []
    for scan in scans:
        try:
            found = scan.find_row()
        except RowRefused as refusal:
            planned.append(Scan(scan.path, refusal=str(refusal)))
            continue
        planned.append(scan)
        if found:
            rows[id(scan)] = found[1]
            paths_of_row.setdefault(id(found[1]), {})[scan.path.resolve()] = scan.path
    return [refuse_shared_row(scan, rows.get(id(scan)), paths_of_row) for scan in planned]


def refuse_shared_row(scan: Scan, row: IndexRow | None, paths_of_row: dict[int, dict[Path, Path]]) -> Scan:
    """The scan unchanged, or refused if its row describes several files."""
    claimants = list(paths_of_row.get(id(row), {}).values())
    if row is None or len(claimants) < 2:
        return scan
    reason = (
        f"{row.where} of the index names {row.file_name}, but there are {listed([str(path) for path in claimants])}."
        f" Fix: write relative paths"
    )
    return Scan(scan.path, refusal=reason)
