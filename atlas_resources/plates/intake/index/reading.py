"""From an index file (CSV, TSV, JSON, XLSX) to a table of its cells. What a column means is decided elsewhere."""

import csv
import json
import re
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import Path

from atlas_resources.plates.intake.index._spreadsheet import read_xlsx
from atlas_resources.plates.intake.index.table import IndexBroken, IndexTable, build_table

MAX_BYTES = 64 << 20

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
SAMPLE_ROWS = 50
OTHER_SPREADSHEETS = {".xls": "an old Excel file", ".xlsm": "an Excel file with macros", ".ods": "an OpenDocument file"}
INDEX_SUFFIXES = frozenset({".csv", ".tsv", ".json", ".xlsx", *OTHER_SPREADSHEETS})


def is_index_like(path: Path) -> bool:
    """Whether a file's name is that of an index. Hidden files and the lock files of spreadsheet programs are not."""
    return path.suffix.lower() in INDEX_SUFFIXES and not path.name.startswith((".", "~$"))


def read_table(path: Path) -> IndexTable:
    """Read an index: by its suffix, and a CSV or JSON by its own encoding and delimiter. Raises IndexBroken.

    At most MAX_BYTES, MAX_ROWS and MAX_COLUMNS are read.
    """
    suffix = path.suffix.lower()
    if kind := OTHER_SPREADSHEETS.get(suffix):
        raise IndexBroken(path, f"is {kind}, which is not read. Fix: save it as XLSX or CSV")
    data = read_bounded(path)
    if suffix == ".xlsx":
        sheet, rows = read_xlsx(path, data)
        return build_table(path, f"XLSX, sheet {sheet}", rows, "row")
    text, encoding = decode_text(data)
    if suffix == ".json":
        return read_json_table(path, text, encoding)
    return read_csv_table(path, text, encoding)


def read_bounded(path: Path) -> bytes:
    """The file's bytes. Raises IndexBroken if it is unreadable, empty or larger than MAX_BYTES."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise IndexBroken(path, f"has {size:,} bytes; the limit for an index is {MAX_BYTES:,}. Fix: split it")
        data = path.read_bytes() if size else b""
    except OSError as error:
        raise IndexBroken(path, f"cannot be read: {error.strerror}") from error
    if not data:
        raise IndexBroken(path, "is empty: expected a header and a row per scan. Fix: write them or remove the file")
    return data


def decode_text(data: bytes) -> tuple[str, str]:
    """The text and the name of its encoding.

    A byte order mark decides. Without one the text is UTF-16 if every second byte of its beginning is mostly 0, else
    UTF-8 if it is valid, else Windows-1252, or Latin-1 where Windows-1252 has no character for a byte.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), "UTF-16"
    start = data[:4096]
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if start[first::2].count(0) > len(start) // 4:
            return data.decode(encoding, errors="replace"), "UTF-16"
    for encoding, name in (("utf-8-sig", "UTF-8"), ("cp1252", "Windows-1252")):
        try:
            return data.decode(encoding), name
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), "Latin-1"


def read_json_table(path: Path, text: str, encoding: str) -> IndexTable:
    """The objects of a JSON list. The columns are the objects' names, in the order in which they first occur."""
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise IndexBroken(path, f"line {error.lineno}: is not JSON: {error.msg}. Fix: correct that line") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or brackets nested as deep
        raise IndexBroken(path, f"is not JSON that can be read: {str(error)[:80]}. Fix: correct it") from error
    if not isinstance(entries, list):
        raise IndexBroken(
            path, f"expected a list of objects, found {type(entries).__name__}. Fix: put the objects into [ ]"
        )
    columns: dict[str, None] = {}
    rows = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise IndexBroken(
                path, f"entry {number}: expected an object, found {str(entry)[:80]!r}. Fix: correct or remove it"
            )
        columns |= dict.fromkeys(entry)
        rows.append((number, entry))
    header = list(columns)
    values = ((number, [entry.get(name) for name in header]) for number, entry in rows)
    return build_table(path, f"JSON, {encoding}", ((0, header), *values), "entry")


def read_csv_table(path: Path, text: str, encoding: str) -> IndexTable:
    """The rows under the header; the delimiter is the one that fits the first rows, or the one of a line `sep=;`."""
    declared = re.match(r"sep=(.)\r?\n", text)
    text = text[declared.end() :] if declared else text
    delimiter = declared[1] if declared else find_delimiter(text)
    name = DELIMITERS.get(delimiter, repr(delimiter))

    def rows() -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            for values in reader:
                yield reader.line_num + bool(declared), values
        except csv.Error as error:
            raise IndexBroken(path, f"line {reader.line_num}: is not CSV: {error}. Fix: correct that line") from error

    return build_table(path, f"{encoding}, {name}", rows(), "line", f"quote fields that contain a {name}")


def find_delimiter(text: str) -> str:
    """The delimiter under which most of the first rows have as many fields as the header; at a tie, the most fields."""

    def fit(delimiter: str) -> tuple[bool, float, int]:
        reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
        try:
            rows = [row for row in islice(reader, SAMPLE_ROWS) if row]
        except csv.Error:
            rows = []
        width = len(rows[0]) if rows else 0
        return width > 1, sum(len(row) == width for row in rows) / (len(rows) or 1), width

    return max(DELIMITERS, key=fit)
