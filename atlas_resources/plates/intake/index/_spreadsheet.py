"""Reading the cells of an XLSX file, with bounds on what its archive may unpack to."""

import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from io import BytesIO
from itertools import zip_longest
from pathlib import Path

from atlas_resources.plates.intake.index.table import MAX_COLUMNS, MAX_ROWS, IndexBroken

MAX_UNPACKED_BYTES = 128 << 20
"""zipfile never unpacks more of a member than the archive declares, so the declared sizes are a bound."""

Values = tuple[object, ...]


def read_xlsx(path: Path, data: bytes) -> tuple[str, list[tuple[int, list[object]]]]:
    """Name and numbered rows of the first visible sheet that has cells. Dates are ISO 8601 text.

    Raises:
        IndexBroken: The file is no XLSX, unpacks to too much, has too many rows, or has a formula without a value.
    """
    require_bounded(path, data)
    from openpyxl import load_workbook

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and validations, which are not read
            shown = load_workbook(BytesIO(data), read_only=True, data_only=True)
            written = load_workbook(BytesIO(data), read_only=True, data_only=False)
            for sheet in shown.worksheets:
                if sheet.sheet_state == "visible":
                    rows = list(read_rows(path, sheet, written[sheet.title]))
                    if any(value is not None for _, values in rows for value in values):
                        return sheet.title, rows
    except IndexBroken:
        raise
    except Exception as error:  # a damaged archive makes openpyxl raise nearly anything; only this file is refused
        raise IndexBroken(
            path, f"is not an XLSX file that can be read: {error or type(error).__name__}. Fix: save it again"
        ) from error
    raise IndexBroken(path, "has no visible sheet with cells. Fix: write a header and a row per scan")


def require_bounded(path: Path, data: bytes) -> None:
    """Raise IndexBroken for bytes that are no archive, or that would unpack to more than MAX_UNPACKED_BYTES."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:  # the last: a ZIP version it cannot read
        raise IndexBroken(path, f"is not an XLSX file: {error}. Fix: save it as XLSX or CSV") from error
    if unpacked > MAX_UNPACKED_BYTES:
        raise IndexBroken(
            path,
            f"unpacks to {unpacked:,} bytes; the limit is {MAX_UNPACKED_BYTES:,}. Fix: save it as CSV",
        )


def read_rows(path: Path, shown: object, written: object) -> Iterator[tuple[int, list[object]]]:
    """Number and values of each row. `shown` has stored values, `written` formulas; both are the same sheet."""
    columns = MAX_COLUMNS + 1  # one more than the limit, so that the header is refused by its number of columns
    pairs = zip_longest(*(sheet_rows(sheet, columns) for sheet in (shown, written)), fillvalue=())
    for number, (values, formulas) in enumerate(pairs, start=1):
        if number > MAX_ROWS:
            raise IndexBroken(path, f"has more than {MAX_ROWS:,} rows. Fix: remove empty rows, or split it")
        for value, formula in zip(values, formulas, strict=False):
            if value is None and isinstance(formula, str) and formula.startswith("="):
                raise IndexBroken(
                    path,
                    f"row {number}: {formula[:40]!r} has no stored value. Fix: open it in a spreadsheet program and"
                    f" save it, or write values instead of formulas",
                )
        yield number, [as_cell(value) for value in values]


def sheet_rows(sheet: object, columns: int) -> Iterator[Values]:
    """The rows' values, streamed. What the sheet states as its own dimensions is not believed."""
    sheet.reset_dimensions()  # type: ignore[attr-defined] # of read-only sheets, which its types omit
    return sheet.iter_rows(max_col=columns, values_only=True)  # type: ignore[attr-defined] # see above


def as_cell(value: object) -> object:
    """A date or time as ISO 8601 text, a date without a time of day as a date; other values unchanged."""
    if isinstance(value, datetime):
        return (value.date() if value.time() == time() else value).isoformat()
    return value.isoformat() if isinstance(value, date | time) else value
