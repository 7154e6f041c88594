"""Which column of an index is which field of a plate. Every other column is kept under its own name."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from atlas_resources.plates.intake.index.table import IndexBroken, IndexTable, TableRow

# The spellings of each field, in groups: a column of an earlier group is preferred, and a column of a later group is
# then kept under its own name. Case, spaces, underscores, hyphens and dots are ignored.
SPELLINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "plate_id": (("plateid",),),
    "plate": (("plate", "platenumber", "plateno"), ("number",)),
    "title": (("title", "platetitle"), ("name", "platename")),
    "slug": (("slug",),),
    "download": (("download", "downloadurl"),),
    "licence": (
        ("licence", "license"),
        ("rights",),
        ("licenceurl", "licenseurl", "licenceuri", "licenseuri", "rightsurl", "rightsuri"),
    ),
    "page": (("sourcepage",),),
}
FILE_SPELLINGS = (
    "filename", "file", "imagefile", "imagefilename", "image", "scan", "scanfile", "path", "filepath", "imagepath",
    "sourceimage",
)  # fmt: skip
FILE_OR_TITLE = "name"
"""A column of this name has the files if its values are files, else the titles."""


@dataclass(frozen=True)
class Columns:
    """What the columns of an index were understood as.

    Attributes:
        file: Column with the name or path of the scan; None if there is none.
        of_field: Column of each field of SPELLINGS that the index has.
        further: The columns that are kept under their own names, in order.
    """

    file: str | None
    of_field: Mapping[str, str]
    further: tuple[str, ...]

    def describe(self) -> str:
        """For messages: "file from 'Image', title from 'Title'; kept as they are: artist, year"."""
        known = {"file": self.file, **self.of_field} if self.file else dict(self.of_field)
        understood = ", ".join(f"{field.replace('_', ' ')} from {column!r}" for field, column in known.items())
        return understood + (f"; kept as they are: {', '.join(self.further)}" if self.further else "")


def comparable(file_name: str) -> str:
    """A normalised file name: composed and decomposed accents are equal, a leading "./" is dropped, "\\" is "/"."""
    return unicodedata.normalize("NFC", str(PurePosixPath(file_name.replace("\\", "/"))))


def understand(table: IndexTable, is_scan: Callable[[str], bool]) -> Columns:
    """Decide which column is which field.

    The column with the files is the one whose values name scans; a spelling decides only if no value does.

    Args:
        table: The index.
        is_scan: Whether a file name or path, normalised by `comparable`, is that of a scan.

    Raises:
        IndexBroken: Two columns may equally be the same field.
    """
    file = find_file_column(table, is_scan)
    of_field = {}
    for field, groups in SPELLINGS.items():
        column = find_column(table, field, groups, file)
        if column is not None:
            of_field[field] = column
    taken = {file, *of_field.values()}
    return Columns(file, of_field, tuple(column for column in table.columns if column not in taken))


def find_file_column(table: IndexTable, is_scan: Callable[[str], bool]) -> str | None:
    """The column whose values name scans: of one of FILE_SPELLINGS before `name`, and that before any other.

    Raises:
        IndexBroken: Two columns of equal rank name different scans in one row.
    """
    ranks = {spelling: rank for rank, spelling in enumerate((*FILE_SPELLINGS, FILE_OR_TITLE))}
    known = sorted((column for column in table.columns if spelled(column) in ranks), key=lambda c: ranks[spelled(c)])
    others = [column for column in table.columns if column not in known]
    for columns in (known, others):
        naming = [column for column in columns if any(is_scan(file) for _, file in files_in(table, column))]
        if naming:
            require_same_files(table, naming, is_scan)
            return naming[0]
    return next((column for column in known if spelled(column) != FILE_OR_TITLE), None)


def files_in(table: IndexTable, column: str) -> Iterable[tuple[TableRow, str]]:
    """The rows with text in a column, and that text as a normalised file name."""
    for row in table.rows:
        value = row.cells.get(column)
        if isinstance(value, str):
            yield row, comparable(value)


def require_same_files(table: IndexTable, columns: list[str], is_scan: Callable[[str], bool]) -> None:
    """Raise IndexBroken if two columns name different scans in one row. A path and its last part are the same scan."""
    first, *others = columns
    of_first = {row.where: file for row, file in files_in(table, first)}
    for other in others:
        for row, file in files_in(table, other):
            beside = of_first.get(row.where, file)
            if is_scan(file) and is_scan(beside) and PurePosixPath(file).name != PurePosixPath(beside).name:
                raise IndexBroken(
                    table.path,
                    f"{row.where}: columns {first!r} and {other!r} name different scans, {beside} and {file}: expected"
                    f" one column with the files. Fix: remove or rename one of them",
                )


def find_column(table: IndexTable, field: str, groups: tuple[tuple[str, ...], ...], file: str | None) -> str | None:
    """The column of a field other than the file. Raises IndexBroken if two of one group have different values."""
    for group in groups:
        columns = [column for column in table.columns if spelled(column) in group and column != file]
        for other in columns[1:]:
            if any(row.cells.get(columns[0]) != row.cells.get(other) for row in table.rows):
                raise IndexBroken(
                    table.path,
                    f"columns {columns[0]!r} and {other!r} may both be the {field.replace('_', ' ')}: expected one."
                    f" Fix: remove one, or rename it to keep it as a further column",
                )
        if columns:
            return columns[0]
    return None


def spelled(column: str) -> str:
    """A column's name as in SPELLINGS."""
    return re.sub(r"[\s_.-]", "", column).casefold()
