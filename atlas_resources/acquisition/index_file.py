"""The scans of an index file: which column has their addresses, their digests and their sizes."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from atlas_resources.acquisition.wanted import Document, Problem, WantedScan, WantedScans, key_of, safe_name
from atlas_resources.downloads.addresses import is_address, require_address
from atlas_resources.downloads.errors import AddressRefused
from atlas_resources.files.digests import sha256_of
from atlas_resources.plates.intake.index.choice import counted
from atlas_resources.plates.intake.index.columns import spelled
from atlas_resources.plates.intake.index.reading import read_table
from atlas_resources.plates.intake.index.rows import IndexRow, ScanIndex, build_index, listed
from atlas_resources.plates.intake.index.table import IndexBroken, IndexTable, TableRow

SHA256_SPELLINGS = ("sha256", "sha256sum", "scansha256", "sourcesha256")
SIZE_SPELLINGS = ("sizebytes", "filesizebytes", "filesize", "bytes")


def read_index_file(path: Path) -> WantedScans:
    """What an index file asks for: CSV, TSV, JSON or XLSX. Raises IndexBroken, which names the file."""
    document = Document(path.name, sha256_of(path))
    table = read_table(path)
    index = build_index(table, lambda name: False)
    column = address_column(table, index)
    found: dict[str, WantedScan] = {}
    problems: list[Problem] = []
    bare: list[str] = []
    for cells, row in zip(table.rows, index.rows, strict=True):
        url = str(cells.cells.get(column, ""))
        if not url:
            bare.append(row.where)
            continue
        try:
            one = wanted(document, index, require_address(url), row, cells)
        except (AddressRefused, IndexBroken) as error:
            problems.append(Problem(row.where, error.reason if isinstance(error, IndexBroken) else str(error)))
            continue
        known = found.get(url)
        found[url] = replace(known, rows=(*known.rows, *one.rows)) if known else one
    notes = [f"{counted(len(bare), 'row')} without an address ({listed(bare)})"] if bare else []
    text = f"{index.coding}, {counted(len(index.rows), 'row')}: address from {column!r}; {index.columns.describe()}"
    return WantedScans(text, tuple(found.values()), tuple(problems), tuple(notes))


def address_column(table: IndexTable, index: ScanIndex) -> str:
    """The column with the addresses: `download`, else the column with the files if these are addresses."""
    of_field = index.columns.of_field.get("download")
    if of_field is not None:
        return of_field
    with_addresses = [column for column in table.columns if has_addresses(table, column)]
    if index.columns.file in with_addresses:
        return str(index.columns.file)
    shown = f"; {listed([repr(one) for one in with_addresses])} has addresses" if with_addresses else ""
    rename = f"rename {with_addresses[0]!r} to download_url" if with_addresses else "add one"
    raise IndexBroken(
        table.path,
        f"has no column with the addresses of the scans: expected download or download_url, found"
        f" {', '.join(table.columns) or 'none'}{shown}. Fix: {rename}",
    )


def has_addresses(table: IndexTable, column: str) -> bool:
    """Whether a column has values, and all of them are addresses."""
    values = [str(row.cells[column]) for row in table.rows if column in row.cells]
    return bool(values) and all(map(is_address, values))


def wanted(document: Document, index: ScanIndex, url: str, row: IndexRow, cells: TableRow) -> WantedScan:
    """The scan of one row. Raises IndexBroken for a digest or a size that is none."""
    sha256 = "".join(stated(cells, SHA256_SPELLINGS)).lower() or None
    size = "".join(stated(cells, SIZE_SPELLINGS)) or None
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise IndexBroken(index.path, f"sha256: expected 64 hex digits, found {sha256[:80]!r}. Fix: correct the row")
    if size is not None and not re.fullmatch(r"[1-9][0-9]{0,14}", size):
        raise IndexBroken(index.path, f"size: expected a number of bytes, found {size[:80]!r}. Fix: correct the row")
    file = None if index.columns.file is None or is_address(row.file_name or "") else row.file_name
    file = None if file is not None and re.match(r"https?:/", file, re.IGNORECASE) else file
    name = safe_name(file, url)
    own = replace(row, file_name=f"{key_of(url)}/{name}", download=url)
    columns = replace(index.columns, of_field={**index.columns.of_field, "download": "download"})
    return WantedScan(row.where, url, name, (own,), document, columns, sha256, None if size is None else int(size))


def stated(cells: TableRow, spellings: tuple[str, ...]) -> Iterator[str]:
    """The value of the first column of these spellings; nothing if the row has none."""
    for column, value in cells.cells.items():
        if spelled(column) in spellings:
            yield str(value)
            return
