"""A copy of the catalogue as a SQLite file, for programs that browse without SQL, with the meaning of each column.

Tables and views become tables, linked by plate. Vectors, masks and histograms are left out; nested values are JSON.
"""

import json
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas_resources.export._destination import require_outside
from atlas_resources.files.durable import make_folder, sync_folder, write_bytes_atomically
from atlas_resources.plates.dataset import Dataset

if TYPE_CHECKING:
    import duckdb

LONG_LISTS = re.compile(r"(FLOAT|BIGINT)\[\d*\]")
"""Types of vectors and histograms, whose numbers nobody reads."""
LEFT_OUT = ("mask_rle", "multipolygon")
AFFINITIES = {"BOOLEAN": "INTEGER", "INTEGER": "INTEGER", "BIGINT": "INTEGER", "FLOAT": "REAL", "DOUBLE": "REAL"}
ROWS_AT_ONCE = 10_000
PLATES = "plates"
# Datasette shows the meaning of every column above the rows; this keeps the rows in sight.
STYLE = "data:text/css,dl.column-descriptions{max-height:9em;overflow:auto}"


@dataclass(frozen=True)
class _Column:
    """A column that is copied: its name, type in DuckDB and comment."""

    name: str
    type: str
    meaning: str


def export_sqlite(dataset: Dataset, catalogue: "duckdb.DuckDBPyConnection", path: Path) -> list[tuple[str, int]]:
    """Copies the catalogue's tables and views, and writes `<path>.metadata.json` with what they mean, for Datasette.

    Rows of withdrawn plates and runs are left out.

    Args:
        dataset: the dataset.
        catalogue: its catalogue, open.
        path: the SQLite file, outside the dataset. An earlier one is replaced whole.

    Returns:
        Each table of the copy with its number of rows.

    Raises:
        ValueError: the file is inside the dataset.
    """
    require_outside(dataset, path)
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        tables = _tables(catalogue)
        copy = sqlite3.connect(partial)
        try:
            counts = [(name, _copy(catalogue, copy, name, columns)) for name, (_, columns) in tables.items()]
            copy.commit()
        finally:
            copy.close()
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)
    write_bytes_atomically(path.with_name(f"{path.name}.metadata.json"), _metadata(path.stem, tables))
    return counts


def _tables(catalogue: "duckdb.DuckDBPyConnection") -> dict[str, tuple[str, list[_Column]]]:
    """Meaning and copied columns of each table and view, `plates` first, so that others can refer to it.

    Views of single instruments and of commercial use are left out: their rows are in other tables.
    """
    found: dict[str, tuple[str, list[_Column]]] = {PLATES: ("", [])}
    names = catalogue.execute(
        "SELECT table_name, comment FROM duckdb_tables() UNION ALL "
        "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY 1"
    ).fetchall()
    for name, comment in names:
        if re.match(r"(embeddings|probes|commercial)_", name):
            continue
        columns = catalogue.execute(
            "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
            [name],
        ).fetchall()
        kept = [_Column(*one) for one in columns if not LONG_LISTS.fullmatch(one[1]) and one[0] not in LEFT_OUT]
        found[name] = (comment, kept)
    return found


def _copy(catalogue: "duckdb.DuckDBPyConnection", copy: sqlite3.Connection, name: str, columns: list[_Column]) -> int:
    declared = ", ".join(_declared(name, column) for column in columns)
    copy.execute(f"CREATE TABLE {_quoted(name)} ({declared})")
    chosen = ", ".join(_selected(column) for column in columns)
    result = catalogue.execute(f"SELECT {chosen} FROM {_quoted(name)} WHERE {_present({one.name for one in columns})}")
    places, count = ", ".join("?" for _ in columns), 0
    while rows := result.fetchmany(ROWS_AT_ONCE):
        copy.executemany(f"INSERT INTO {_quoted(name)} VALUES ({places})", rows)
        count += len(rows)
    for column in columns:
        if column.name in ("plate_id", "instrument") and name != PLATES:
            copy.execute(f"CREATE INDEX {_quoted(f'{name} by {column.name}')} ON {_quoted(name)} ({column.name})")
    return count


def _present(columns: set[str]) -> str:
    """SQL that is true of rows whose plate and run are not withdrawn, as far as the columns name them."""
    conditions = ["true"]
    if "plate_id" in columns:
        conditions.append("(plate_id IS NULL OR plate_id NOT IN (SELECT plate_id FROM plates WHERE withdrawn_by > 0))")
    if {"plate_id", "run_id"} <= columns:
        gone = "SELECT plate_id || '/' || run_id FROM runs WHERE withdrawn_by > 0"
        conditions.append(f"(run_id IS NULL OR plate_id || '/' || run_id NOT IN ({gone}))")
    return " AND ".join(conditions)


def _declared(table: str, column: _Column) -> str:
    kind = AFFINITIES.get(column.type, "TEXT")
    link = ""
    if column.name == "plate_id":
        link = " PRIMARY KEY" if table == PLATES else f" REFERENCES {PLATES}(plate_id)"
    return f"{_quoted(column.name)} {kind}{link}"


def _selected(column: _Column) -> str:
    """SQL of a value that SQLite holds: nested values as JSON, times in ISO 8601."""
    name = _quoted(column.name)
    if column.type.endswith("]") or column.type.startswith("STRUCT"):
        return f"to_json({name})::VARCHAR"
    if column.type == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({name} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ')"
    return name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _metadata(database: str, tables: dict[str, tuple[str, list[_Column]]]) -> bytes:
    """What each table and column means, in the form that Datasette reads."""
    described: dict[str, Any] = dict(_described(tables))
    content = {"title": "Atlas", "extra_css_urls": [STYLE], "databases": {database: {"tables": described}}}
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _described(tables: dict[str, tuple[str, list[_Column]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, (meaning, columns) in tables.items():
        described: dict[str, Any] = {"description": meaning, "columns": {one.name: one.meaning for one in columns}}
        if name == PLATES:
            described["label_column"] = "title"
        yield name, described
