"""An index whose columns are understood: its rows, each of which describes one scan, and finding a scan's row."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from atlas_resources.plates.contracts import MAX_EXTRA_KEYS, PLATE_ID_PATTERN
from atlas_resources.plates.intake.index.columns import Columns, comparable, understand
from atlas_resources.plates.intake.index.table import Cell, IndexBroken, IndexTable, TableRow

MOST_NAMED = 3
WHOLE_NUMBER = re.compile(r"-?[1-9][0-9]{0,17}|0")


class RowRefused(ValueError):
    """Rows that do not determine which plate a scan is. The message is one line."""


@dataclass(frozen=True)
class IndexRow:
    """One row of an index, which describes one scan. A cell that is empty is None, or left out of `extra`.

    Attributes:
        where: The row, for messages: "entry 3", "line 4", "row 4".
        file_name: Name or path of the scan, normalised.
        page: Page of the scan, counted from 1; None for the first or only one.
        given_id: The plate id, as the row states it.
        plate: Number of the plate, or its id where the row has no other.
        extra: The further columns, in order. A whole number is an integer, every other value is text.
    """

    where: str
    file_name: str | None = None
    page: int | None = None
    given_id: str | None = None
    plate: str | None = None
    title: str | None = None
    slug: str | None = None
    download: str | None = None
    licence: str | None = None
    extra: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def plate_number(self) -> int | None:
        """`plate` as a number, if it is one or is written as one ("013"); else None."""
        return int(self.plate) if self.plate and re.fullmatch(r"[0-9]{1,18}", self.plate) else None

    @property
    def stated_number(self) -> int | None:
        """The number of the plate: beside an id of its own, `plate`; else the one in the id.

        Raises RowRefused for a `plate` beside an id that is no number, and for an id that is not a slug.
        """
        if not (self.given_id and self.plate):
            return number_of_id(self.plate_id or "")
        if self.plate_number is None:
            raise RowRefused(
                f"plate {self.plate!r} ({self.where} of the index): expected a whole number beside a plate id. Fix:"
                f" correct that row, or rename its column to keep it as a further column"
            )
        return self.plate_number

    @property
    def plate_id(self) -> str | None:
        """The plate id in the row, or None if it has none. Raises RowRefused for an id that is not a slug."""
        stated = self.given_id or self.plate
        if stated is None:
            return None
        number = None if self.given_id else self.plate_number
        plate_id = stated if number is None else numbered_id(number)
        if re.fullmatch(PLATE_ID_PATTERN, plate_id) is None:
            raise RowRefused(
                f"plate id {stated!r} ({self.where} of the index) is not a slug: expected a number or"
                f" {PLATE_ID_PATTERN}. Fix: correct that row, or rename its column to keep it as a further column"
            )
        return plate_id


@dataclass(frozen=True)
class ScanIndex:
    """An index file, what its columns are, and its rows in order."""

    path: Path
    coding: str
    columns: Columns
    rows: tuple[IndexRow, ...]

    @cached_property
    def rows_of_name(self) -> dict[str, list[IndexRow]]:
        """Rows by the name of their file."""
        rows: dict[str, list[IndexRow]] = {}
        for row in self.rows:
            if row.file_name is not None:
                rows.setdefault(row.file_name, []).append(row)
        return rows

    @cached_property
    def rows_of_id(self) -> dict[str, list[IndexRow]]:
        """Rows by their plate id, without the rows that have none or one that is not a slug."""
        rows: dict[str, list[IndexRow]] = {}
        for row in self.rows:
            with suppress(RowRefused):
                if row.plate_id is not None:
                    rows.setdefault(row.plate_id, []).append(row)
        return rows

    def find_row(self, names: Iterable[str], page: int | None = None) -> IndexRow | None:
        """The row of a page of a scan, by the first of its names that has rows. Raises RowRefused for several.

        Args:
            names: Names and paths of the scan, normalised by `comparable`, the most specific first.
            page: Counted from 1; None for the first or only page.
        """
        for name in names:
            rows = [row for row in self.rows_of_name.get(name, []) if (row.page or 1) == (page or 1)]
            if len(rows) > 1:
                places = listed([row.where for row in rows])
                raise RowRefused(
                    f"{self.path.name} has {len(rows)} rows for {name} ({places}): expected one. Fix: remove the others"
                )
            if rows:
                return rows[0]
        return None

    def require_sole_claim(self, row: IndexRow) -> None:
        """Raise RowRefused if the row's plate id is not a slug, or if another row has the same id."""
        claims = [] if row.plate_id is None else self.rows_of_id[row.plate_id]
        if len(claims) > 1:
            files = listed([f"{one.file_name} ({one.where})" if one.file_name else one.where for one in claims])
            raise RowRefused(
                f"plate id {row.plate_id} is claimed by {files} of {self.path.name}. Fix: give each a different plate"
            )


def build_index(table: IndexTable, is_scan: Callable[[str], bool]) -> ScanIndex:
    """An index whose columns are understood by what `is_scan` accepts. Raises IndexBroken."""
    columns = understand(table, is_scan)
    if len(columns.further) > MAX_EXTRA_KEYS:
        raise IndexBroken(
            table.path, f"has {len(columns.further)} further columns; the limit is {MAX_EXTRA_KEYS}. Fix: remove some"
        )
    return ScanIndex(
        table.path, table.coding, columns, tuple(build_row(table.path, columns, row) for row in table.rows)
    )


def build_row(path: Path, columns: Columns, row: TableRow) -> IndexRow:
    """One row. Raises IndexBroken for a plate or a page that is a fraction or no number."""
    fields = {name: row.cells.get(column) for name, column in columns.of_field.items()}
    plate, page = fields.pop("plate", None), fields.pop("page", None)
    if isinstance(plate, float):
        raise IndexBroken(path, f"{row.where}: plate: expected a whole number or text, found {plate}. Fix: correct it")
    if page is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", str(page)):
        raise IndexBroken(path, f"{row.where}: page: expected a whole number from 1, found {page!r}. Fix: correct it")
    texts = {name: None if cell is None else str(cell) for name, cell in fields.items()}
    file = row.cells.get(columns.file) if columns.file else None
    return IndexRow(
        where=row.where,
        file_name=None if file is None else comparable(str(file)),
        page=None if page is None else int(page),
        given_id=texts.pop("plate_id", None),
        plate=None if plate is None else str(plate),
        extra={name: typed(row.cells[name]) for name in columns.further if name in row.cells},
        **texts,
    )


def typed(cell: Cell) -> str | int:
    """A whole number without a leading zero, of at most 18 digits, as an integer; everything else as text."""
    text = str(cell)
    return int(text) if WHOLE_NUMBER.fullmatch(text) else text


def listed(names: list[str]) -> str:
    """Names for a message: "a and b"; beyond MOST_NAMED, "a, b, c and 4 more"."""
    if len(names) <= MOST_NAMED:
        return " and ".join(names)
    return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"


def numbered_id(number: int) -> str:
    """Plate id of a number, at least three digits: 7 is plate-007."""
    return f"plate-{number:03d}"


def number_of_id(plate_id: str) -> int | None:
    """The inverse of `numbered_id`; None for an id that it does not make."""
    digits = re.fullmatch(r"plate-([0-9]{3,18})", plate_id)
    return int(digits[1]) if digits and numbered_id(int(digits[1])) == plate_id else None
