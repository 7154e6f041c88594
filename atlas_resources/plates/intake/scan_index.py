"""Indexes next to scans (`data.json`, `plates.csv`): reading one, and finding a scan's row. Opens no image."""

import csv
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atlas_resources.plates.contracts import PLATE_ID_PATTERN

INDEX_NAMES = ("data.json", "plates.csv")
FIELDS = ("plate", "name", "slug", "fileName", "download", "license")
# Case, spaces, underscores and hyphens in a field's name are ignored.
SPELLINGS = {field.casefold(): field for field in FIELDS} | {"licence": "license"}

Fields = Iterable[tuple[str, object]]


class IndexBroken(ValueError):
    """An index that cannot be read. `reason` is one line without the file's name: row, field, expected, found, fix."""

    def __init__(self, path: Path, reason: str):
        self.path = path
        self.reason = " ".join(reason.split())
        super().__init__(f"{path}: {self.reason}")


class RowRefused(ValueError):
    """Rows that do not determine which plate a scan is. The message is one line."""


class IndexRow(BaseModel):
    """One row of an index, which describes one scan. Empty text counts as absent.

    Attributes:
        where: The row, for messages: "entry 3" of `data.json`, "line 4" of `plates.csv`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    where: str
    plate: int | str | None = None
    name: str | None = None
    slug: str | None = None
    file_name: str = Field(alias="fileName", min_length=1)
    download: str | None = None
    license: str | None = None

    @property
    def plate_number(self) -> int | None:
        """`plate` as a number, if it is one or is written as one ("013"); else None."""
        text = str(self.plate).strip()
        return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None

    @property
    def plate_id(self) -> str | None:
        """The plate id in the row, or None if it has none. Raises RowRefused for an id that is not a slug."""
        if self.plate is None:
            return None
        number = self.plate_number
        plate_id = str(self.plate) if number is None else numbered_id(number)
        if re.fullmatch(PLATE_ID_PATTERN, plate_id) is None:
            raise RowRefused(
                f"plate id {self.plate!r} ({self.where} of the index) is not a slug: expected a number or"
                f" {PLATE_ID_PATTERN}. Fix: correct that row"
            )
        return plate_id


@dataclass(frozen=True)
class ScanIndex:
    """An index file and its rows in order."""

    path: Path
    rows: tuple[IndexRow, ...]

    @cached_property
    def rows_of_name(self) -> dict[str, list[IndexRow]]:
        """Rows by the name of their file."""
        rows: dict[str, list[IndexRow]] = {}
        for row in self.rows:
            rows.setdefault(comparable(row.file_name), []).append(row)
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

    def find_row(self, scan: Path) -> IndexRow | None:
        """A scan's row, by its path relative to the index, else by its name. Raises RowRefused if there are several."""
        names = [scan.name]
        if scan.is_relative_to(self.path.parent):
            names.insert(0, scan.relative_to(self.path.parent).as_posix())
        for name in names:
            rows = self.rows_of_name.get(comparable(name), [])
            if len(rows) > 1:
                places = " and ".join(row.where for row in rows)
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
            files = " and ".join(f"{claim.file_name} ({claim.where})" for claim in claims)
            raise RowRefused(
                f"plate id {row.plate_id} is claimed by {files} of {self.path.name}. Fix: give each a different plate"
            )


def numbered_id(number: int) -> str:
    """Plate id of a number, at least three digits: 7 is plate-007."""
    return f"plate-{number:03d}"


def number_of_id(plate_id: str) -> int | None:
    """The inverse of `numbered_id`; None for an id that it does not make."""
    digits = re.fullmatch(r"plate-([0-9]{3,18})", plate_id)
    return int(digits[1]) if digits and numbered_id(int(digits[1])) == plate_id else None


def comparable(file_name: str) -> str:
    """A normalised file name: composed and decomposed accents are equal, and a leading "./" is dropped."""
    return unicodedata.normalize("NFC", str(PurePosixPath(file_name)))


def find_index(folder: Path) -> ScanIndex | None:
    """The folder's index, or None. Raises IndexBroken for a malformed index, and for two indexes in one folder."""
    paths = [folder / name for name in INDEX_NAMES if (folder / name).is_file()]
    if len(paths) > 1:
        raise IndexBroken(
            paths[1], f"is in the same folder as {paths[0].name}: expected one index. Fix: move one of them away"
        )
    return read_index(paths[0]) if paths else None


def read_index(path: Path) -> ScanIndex:
    """Read `data.json` (a list of objects) or `plates.csv` (a header and rows), UTF-8. Raises IndexBroken."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise IndexBroken(path, f"is not UTF-8 (byte {error.start}). Fix: save it as UTF-8") from error
    except OSError as error:
        raise IndexBroken(path, f"cannot be read: {error.strerror}") from error
    entries = read_json_entries(path, text) if path.suffix == ".json" else read_csv_entries(path, text)
    return ScanIndex(path, tuple(build_row(path, where, entry) for where, entry in entries))


def read_json_entries(path: Path, text: str) -> Iterator[tuple[str, Fields]]:
    """The objects of the list, each with its position."""
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise IndexBroken(path, f"line {error.lineno}: is not JSON: {error.msg}. Fix: correct that line") from error
    if not isinstance(entries, list):
        raise IndexBroken(
            path, f"expected a list of objects, found {type(entries).__name__}. Fix: put the objects into [ ]"
        )
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise IndexBroken(
                path, f"entry {number}: expected an object, found {str(entry)[:80]!r}. Fix: correct or remove it"
            )
        yield f"entry {number}", entry.items()


def read_csv_entries(path: Path, text: str) -> Iterator[tuple[str, Fields]]:
    """The rows under the header, each with its line number. Blank lines are skipped."""
    rows = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        header = next(rows, None)
        if header is None:
            raise IndexBroken(
                path,
                f"is empty: expected a header with fileName and any of {', '.join(FIELDS)}. Fix: write one or"
                " remove the file",
            )
        for values in rows:
            if values and len(values) != len(header):
                raise IndexBroken(
                    path,
                    f"line {rows.line_num}: expected {len(header)} fields, found {len(values)}. Fix: quote fields that"
                    " contain commas",
                )
            if values:
                yield f"line {rows.line_num}", zip(header, values, strict=True)
    except csv.Error as error:
        raise IndexBroken(path, f"line {rows.line_num}: is not CSV: {error}. Fix: correct that line") from error


def build_row(path: Path, where: str, entry: Fields) -> IndexRow:
    """One row; field names may have any spelling of SPELLINGS. Raises IndexBroken, which names row and field."""
    fields: dict[str, object] = {}
    for key, value in entry:
        field = SPELLINGS.get(re.sub(r"[\s_-]", "", str(key)).casefold())
        if field is None or field in fields:
            found = "occurs twice" if field else "is unknown"
            raise IndexBroken(
                path, f"{where}: field {key!r} {found}: expected {', '.join(FIELDS)}. Fix: rename or remove it"
            )
        fields[field] = None if isinstance(value, str) and not value.strip() else value
    fields = {field: value for field, value in fields.items() if value is not None}
    try:
        return IndexRow.model_validate({**fields, "where": where})
    except ValidationError as error:
        wrong = error.errors()[0]
        field = wrong["loc"][0]
        expected = "a whole number or text" if field == "plate" else "text"
        found = "nothing" if wrong["type"] == "missing" else repr(wrong["input"])
        raise IndexBroken(
            path, f"{where}: field {field}: expected {expected}, found {found}. Fix: correct that row"
        ) from error
