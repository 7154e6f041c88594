"""The cells of an index of any file type: a header and rows, within bounds."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.plates.contracts import MAX_EXTRA_KEY_LENGTH, MAX_EXTRA_TEXT_LENGTH

MAX_ROWS = 100_000
MAX_COLUMNS = 200

Cell = str | int | float


class IndexBroken(ValueError):
    """An index that cannot be read. `reason` is one line without the file's name: row, column, expected, found, fix."""

    def __init__(self, path: Path, reason: str):
        self.path = path
        self.reason = " ".join(reason.split())
        super().__init__(f"{path}: {self.reason}")


@dataclass(frozen=True)
class TableRow:
    """A row of an index.

    Attributes:
        where: The row, for messages: "entry 3" of JSON, "line 4" of CSV, "row 4" of a spreadsheet.
        cells: The cells that are not empty, by column.
    """

    where: str
    cells: dict[str, Cell]


@dataclass(frozen=True)
class IndexTable:
    """An index as it is in its file.

    Attributes:
        path: The file.
        coding: How it was read, for messages: "UTF-16, semicolon", "JSON, UTF-8", "XLSX, sheet Plates".
        columns: Names of the columns, in order, each once.
        rows: The rows that are not empty, in order.
    """

    path: Path
    coding: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


def build_table(  # long: every refusal of a malformed table
    path: Path,
    coding: str,
    rows: Iterable[tuple[int, Sequence[object]]],
    unit: str,
    fix: str = "remove the surplus cells",
) -> IndexTable:
    """A table of numbered rows; the first that is not empty is the header. Raises IndexBroken, which names the row.

    Args:
        path: The file, for messages.
        coding: See IndexTable.
        rows: Number and values of each row. Empty text and None are empty cells.
        unit: What a row is called: "line", "row" or "entry".
        fix: What to do if a row has more values than the header.
    """
    header: list[str] | None = None
    found: list[TableRow] = []
    for number, values in rows:
        cells = [read_cell(value) for value in values]
        while cells and cells[-1] is None:
            cells.pop()
        if not cells and unit != "entry":
            continue
        where = f"{unit} {number}"
        require_text(path, where, cells)
        if header is None:
            header = read_header(path, ["" if cell is None else str(cell) for cell in cells])
            continue
        if len(cells) > len(header) or (unit == "line" and len(values) < len(header)):
            raise IndexBroken(path, f"{where}: expected {len(header)} fields, found {len(values)}. Fix: {fix}")
        if len(found) == MAX_ROWS:
            raise IndexBroken(path, f"has more than {MAX_ROWS:,} rows. Fix: split it")
        named = [(name, cell) for name, cell in zip(header, cells, strict=False) if cell is not None]
        if not all(name for name, _ in named):
            raise IndexBroken(path, f"{where}: has a value in a column without a name. Fix: name it in the header")
        found.append(TableRow(where, dict(named)))
    if header is None:
        raise IndexBroken(path, "is empty: expected a header and a row per scan. Fix: write them or remove the file")
    return IndexTable(path, coding, tuple(name for name in header if name), tuple(found))


def read_header(path: Path, names: list[str]) -> list[str]:
    """The columns' names. Raises IndexBroken for too many, for one that is too long, and for one that occurs twice."""
    if len(names) > MAX_COLUMNS:
        raise IndexBroken(path, f"has {len(names):,} columns; the limit is {MAX_COLUMNS}. Fix: remove some")
    for number, name in enumerate(names):
        if len(name) > MAX_EXTRA_KEY_LENGTH:
            raise IndexBroken(
                path,
                f"column {number + 1}: its name has {len(name):,} characters; the limit is"
                f" {MAX_EXTRA_KEY_LENGTH}. Fix: is the first row the header?",
            )
        if name and name.casefold() in (earlier.casefold() for earlier in names[:number]):
            raise IndexBroken(path, f"column {name!r} occurs twice. Fix: rename or remove one of them")
    return names


def read_cell(value: object) -> Cell | None:
    """A cell's value: text without surrounding white space, a number, or None if it is empty."""
    match value:
        case str():
            return value.strip() or None
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return int(value)
        case None | int() | float():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def require_text(path: Path, where: str, cells: Sequence[Cell | None]) -> None:
    """Raise IndexBroken for a cell that is too long or that no text file can hold."""
    for number, cell in enumerate(cells, start=1):
        if not isinstance(cell, str):
            continue
        if len(cell) > MAX_EXTRA_TEXT_LENGTH:
            raise IndexBroken(
                path,
                f"{where}: column {number} has {len(cell):,} characters; the limit is"
                f" {MAX_EXTRA_TEXT_LENGTH:,}. Fix: shorten it",
            )
        if not is_plain(cell):
            raise IndexBroken(path, f"{where}: column {number} has a character that is not text. Fix: remove it")


def is_plain(text: str) -> bool:
    """Whether text can be written as UTF-8 and has no NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
