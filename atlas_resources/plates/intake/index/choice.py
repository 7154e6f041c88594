"""Which of the files beside the scans is their index, and why the others are not. Opens no image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from atlas_resources.plates.intake.index.columns import FILE_SPELLINGS, comparable
from atlas_resources.plates.intake.index.reading import decode_text, is_index_like, read_bounded, read_table
from atlas_resources.plates.intake.index.rows import ScanIndex, build_index, listed
from atlas_resources.plates.intake.index.table import IndexBroken

INDEX_NAMES = frozenset({"data.json", "plates.csv", "plates.tsv", "plates.xlsx"})
"""An index of these names is read before any other of its folder, and it must be readable."""
MOST_REPORTED = 3
"""From more files of one folder that are not used for the same reason, this many are named."""


@dataclass(frozen=True)
class IndexReport:
    """What became of a file that looks like an index, in words for a person. `is_used`: its rows describe scans."""

    path: Path
    is_used: bool
    text: str


@dataclass(frozen=True)
class ScanNames:
    """The scans that an index may describe.

    Attributes:
        scans: Their paths.
        folders: Folders that a path in the index may be relative to.
    """

    scans: Sequence[Path]
    folders: Sequence[Path]

    def of(self, scan: Path) -> list[str]:
        """Names of a scan as an index may have it: its absolute path, its paths in the folders, its name."""
        relative = (scan.relative_to(folder).as_posix() for folder in self.folders if scan.is_relative_to(folder))
        return [comparable(name) for name in (str(scan.absolute()), *relative, scan.name)]

    @cached_property
    def all(self) -> frozenset[str]:
        """The names of all scans."""
        return frozenset(name for scan in self.scans for name in self.of(scan))

    @cached_property
    def by_loose_name(self) -> dict[str, list[str]]:
        """Names of the scans, by their names and paths in lower case, with and without extension."""
        loose: dict[str, dict[str, None]] = {}
        for scan in self.scans:
            for name in self.of(scan):
                for key in {name.casefold(), name.casefold().removesuffix(scan.suffix.casefold())}:
                    loose.setdefault(key, {})[scan.name] = None
        return {key: list(names) for key, names in loose.items()}


def choose_index(folder: Path, scans: ScanNames) -> tuple[ScanIndex | IndexBroken | None, list[IndexReport]]:
    """The folder's index, and what became of every file of the folder that looks like one.

    A file of INDEX_NAMES is the index; else the one file that names scans is. An IndexBroken in its place refuses the
    scans of the folder: two indexes, or one that cannot be read. A file of any other name that cannot be read is only
    reported, unless its text names a scan.
    """
    try:
        files = sorted(path for path in folder.iterdir() if is_index_like(path) and path.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return None, []  # a path that does not exist, which is said of the scan itself
    except OSError as error:
        return IndexBroken(folder, f"cannot be listed: {error.strerror}. Fix: make it readable"), []
    named = [path for path in files if path.name in INDEX_NAMES]
    if len(named) > 1:
        return two_indexes(named), []
    if named:
        others = [IndexReport(path, False, f"is not used: {named[0].name} is") for path in files if path not in named]
        try:
            index = build_index(read_table(named[0]), scans.all.__contains__)
            require_file_column(index)
        except IndexBroken as error:
            return error, summarised(others)
        return index, [report(index, scans), *summarised(others)]
    return choose_unnamed(files, scans)


def choose_unnamed(files: list[Path], scans: ScanNames) -> tuple[ScanIndex | IndexBroken | None, list[IndexReport]]:
    """The one file, of any name, that names scans, or None."""
    found: list[ScanIndex] = []
    others: list[IndexReport] = []
    for path in files:
        try:
            index = build_index(read_table(path), scans.all.__contains__)
        except IndexBroken as error:
            if mentions_a_scan(path, scans):
                return error, []
            others.append(IndexReport(path, False, f"is not used as an index: {error.reason}"))
            continue
        if rows_with_scan(index, scans):
            found.append(index)
        else:
            others.append(IndexReport(path, False, f"is not used as an index: {why_unused(index, scans)}"))
    if len(found) > 1:
        return two_indexes([index.path for index in found]), summarised(others)
    return (found[0] if found else None), [*(report(index, scans) for index in found), *summarised(others)]


def read_given_index(path: Path, scans: ScanNames) -> ScanIndex:
    """An index that a person has named. Raises IndexBroken, also if it names none of the scans."""
    if not path.is_file():
        raise IndexBroken(path, "is not a file. Fix: name an existing CSV, TSV, JSON or XLSX file")
    if not is_index_like(path):
        raise IndexBroken(path, f"has the suffix {path.suffix!r}: expected .csv, .tsv, .json or .xlsx. Fix: rename it")
    index = build_index(read_table(path), scans.all.__contains__)
    require_file_column(index)
    if not rows_with_scan(index, scans):
        raise IndexBroken(path, f"{why_unused(index, scans)}. Fix: correct the column or name another index")
    return index


def require_file_column(index: ScanIndex) -> None:
    """Raise IndexBroken for rows without a column that says which scan each describes."""
    if index.rows and index.columns.file is None:
        raise IndexBroken(
            index.path,
            f"has no column with the files of the scans: expected one such as {', '.join(FILE_SPELLINGS[:3])}, found"
            f" {', '.join(index.columns.further) or 'none'}. Fix: add or rename it",
        )


def two_indexes(paths: list[Path]) -> IndexBroken:
    """The refusal of a folder with several indexes."""
    names = listed([path.name for path in paths[:-1]])
    return IndexBroken(
        paths[-1],
        f"is in the same folder as {names}: expected one index. Fix: move the others away, or name one with --index",
    )


def mentions_a_scan(path: Path, scans: ScanNames) -> bool:
    """Whether the text of a broken list names a scan. A JSON object, such as notes beside one scan, is not a list."""
    if path.suffix.lower() not in {".csv", ".tsv", ".json"}:
        return False
    try:
        text, _ = decode_text(read_bounded(path))
    except IndexBroken:
        return False
    return not text.lstrip().startswith("{") and any(scan.name in text for scan in scans.scans)


def rows_with_scan(index: ScanIndex, scans: ScanNames) -> int:
    """How many rows name a scan."""
    return sum(row.file_name in scans.all for row in index.rows)


def why_unused(index: ScanIndex, scans: ScanNames) -> str:
    """Why an index describes none of the scans."""
    if not index.rows:
        return "has no rows"
    example = f"the scans are named like {scans.scans[0].name!r}" if scans.scans else "there are no scans"
    if index.columns.file is None:
        return f"none of its columns names a scan; {example}"
    file = next((row.file_name for row in index.rows if row.file_name), "")
    return f"its column {index.columns.file!r} names no scan: it has {file!r}, and {example}"


def report(index: ScanIndex, scans: ScanNames) -> IndexReport:
    """How an index was read, what its columns are, and which rows and scans have no counterpart."""
    text = f"{index.coding}, {counted(len(index.rows), 'row')}"
    if index.rows:
        text += f": {index.columns.describe()}"
    without = [row for row in index.rows if row.file_name not in scans.all]
    if without:
        names = listed([f"{row.where}{suggested(row.file_name, scans)}" for row in without])
        text += f"; {counted(len(without), 'row')} without a scan here ({names})"
    bare = [scan.name for scan in scans.scans if not any(name in index.rows_of_name for name in scans.of(scan))]
    if bare:
        text += f"; {counted(len(bare), 'scan')} without a row ({listed(bare)})"
    return IndexReport(index.path, True, text)


def suggested(name: str | None, scans: ScanNames) -> str:
    """The name in a row without a scan, and the scans whose names differ from it by case or by its extension alone."""
    if name is None:
        return ""
    meant = scans.by_loose_name.get(name.casefold())
    return f", {name}" + (f": did you mean {' or '.join(meant[:MOST_REPORTED])}?" if meant else "")


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 row", "48 rows"."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def summarised(reports: Iterable[IndexReport]) -> list[IndexReport]:
    """The reports, or the first of them and how many more there are."""
    reports = list(reports)
    if len(reports) <= MOST_REPORTED:
        return reports
    last = reports[MOST_REPORTED - 1]
    more = f"{last.text}. Neither are {len(reports) - MOST_REPORTED} more files of this folder"
    return [*reports[: MOST_REPORTED - 1], IndexReport(last.path, False, more)]
