"""Files of selections: what somebody marked, as CSV or JSON, a judgement in each row. Nothing is looked up here."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from atlas_resources.plates.records.tag import (
    MOST_CHARACTERS,
    MOST_TAG_CHARACTERS,
    ROW_TABLES,
    TargetTable,
    Verdict,
    verdict_problem,
)
from atlas_resources.tags.log import TagRefused

ID_COLUMNS: Mapping[str, TargetTable] = {"segment_id": "segments", "text_id": "texts", "detection_id": "detections"}
COLUMNS = (
    "plate_id", "tag", "table", "run_id", "row_id", *ID_COLUMNS, "space", "cluster", "judgement", "corrected", "note",
)  # fmt: skip
MOST_BYTES = 64 * 1024 * 1024
CSV_SUFFIX, JSON_SUFFIX = ".csv", ".json"


@dataclass(frozen=True)
class Wanted:
    """A judgement as a person states it, before its row is found.

    Attributes:
        plate_id: the plate.
        table: table of the row; plates for the plate itself.
        judgement: the verdict.
        run_id: run of the row; None if the current run that has it is meant.
        row_id: id of the row in its table.
        space: space of a cluster.
        cluster: number of the cluster; None if that which the plate is in is meant.
        tag: the tag.
        corrected: what is right.
        note: more.
        where: where it is stated, such as `marks.csv, line 3`.
    """

    plate_id: str
    table: TargetTable
    judgement: Verdict
    run_id: str | None = None
    row_id: str | None = None
    space: str | None = None
    cluster: int | None = None
    tag: str | None = None
    corrected: str | None = None
    note: str | None = None
    where: str = ""


def read_selection(path: Path) -> list[Wanted]:
    """The judgements of a file, in its order.

    CSV has a line of column names first; JSON is a list of objects, or an object with one under `judgements`. Columns
    are `plate_id` and what `wanted_of` reads; an empty cell is as one that is missing.

    Raises:
        TagRefused: the file cannot be read, or a row means nothing; with the line, or the number of the object.
    """
    if path.suffix.lower() not in (CSV_SUFFIX, JSON_SUFFIX):
        raise TagRefused(f"{path}: expected a file whose name ends with {CSV_SUFFIX} or {JSON_SUFFIX}")
    rows = _read_csv(path) if path.suffix.lower() == CSV_SUFFIX else _read_json(path)
    found = [wanted_of(cells, where) for where, cells in rows]
    if not found:
        raise TagRefused(f"{path}: expected at least one row with a judgement, found none")
    return found


def wanted_of(cells: Mapping[str, str], where: str = "") -> Wanted:
    """A judgement from named cells. Its table follows from the id, and the judgement is a tag if there is a tag alone.

    Raises:
        TagRefused: something is missing, contradicts itself, or is no known word.
    """
    try:
        return _wanted_of({name: value.strip() for name, value in cells.items() if value.strip()}, where)
    except TagRefused as error:
        raise TagRefused(f"{where}: {error}" if where else str(error)) from None


def _wanted_of(cells: Mapping[str, str], where: str) -> Wanted:
    _require_known(cells, COLUMNS, "column")
    if "plate_id" not in cells:
        raise TagRefused("plate_id: expected a plate, found none")
    table, row_id = _target(cells)
    judgement: Verdict = _word(
        "judgement", cells.get("judgement", "corrected" if "corrected" in cells else "tag"), Verdict
    )
    tag, corrected = cells.get("tag"), cells.get("corrected")
    cluster = cells.get("cluster")
    if tag is not None and (len(tag) > MOST_TAG_CHARACTERS or not tag.isprintable()):
        raise TagRefused(
            f"tag: expected at most {MOST_TAG_CHARACTERS} printable characters in a line, found {tag[:40]!r}"
        )
    for name in ("corrected", "note"):
        if len(cells.get(name, "")) > MOST_CHARACTERS:
            raise TagRefused(f"{name}: expected at most {MOST_CHARACTERS} characters, found {len(cells[name])}")
    if cluster is not None and not (cluster.isascii() and cluster.isdigit()):
        raise TagRefused(f"cluster: expected a number, found {cluster!r}")
    if problem := verdict_problem(table, judgement, tag, corrected):
        raise TagRefused(problem)
    return Wanted(
        plate_id=cells["plate_id"],
        table=table,
        judgement=judgement,
        run_id=cells.get("run_id"),
        row_id=row_id,
        space=cells.get("space"),
        cluster=None if cluster is None else int(cluster),
        tag=tag,
        corrected=corrected,
        note=cells.get("note"),
        where=where,
    )


def _target(cells: Mapping[str, str]) -> tuple[TargetTable, str | None]:
    """The table that the cells name, and the row's id in it."""
    ids = [name for name in ID_COLUMNS if name in cells]
    named = [f"{name} {cells[name]!r}" for name in (*ID_COLUMNS, "row_id", "space") if name in cells]
    if len(named) > 1:
        raise TagRefused(f"expected one row, found {' and '.join(named)}")
    implied: TargetTable = ID_COLUMNS[ids[0]] if ids else "plate_spaces" if "space" in cells else "plates"
    table: TargetTable = _word("table", cells.get("table", implied), TargetTable)
    if implied not in ("plates", table):
        raise TagRefused(f"table: expected {implied}, which has {named[0]}, found {table}")
    row_id = cells[ids[0]] if ids else cells.get("row_id")
    if (table in ROW_TABLES) != (row_id is not None):
        expected = f"row_id: expected the id of a row of {table}, found none"
        raise TagRefused(expected if row_id is None else f"row_id: expected none for {table}, found {row_id!r}")
    if table == "plate_spaces" and "space" not in cells:
        raise TagRefused("space: expected the space of the cluster, found none")
    if table != "plate_spaces" and "cluster" in cells:
        raise TagRefused(f"cluster: expected none for {table}, found {cells['cluster']!r}")
    if table == "plates" and "run_id" in cells:
        raise TagRefused(f"run_id: expected none for a plate, found {cells['run_id']!r}")
    return table, row_id


def _word(name: str, value: str, words: Any) -> Any:
    _require_known([value], get_args(words), name)
    return value


def _require_known(found: Sequence[str] | Mapping[str, str], known: Sequence[str], what: str) -> None:
    for one in found:
        if one not in known:
            near = get_close_matches(one, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise TagRefused(f"{one!r} is no {what}: expected one of {', '.join(known)}.{hint}")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TagRefused(f"{path}: expected at most {MOST_BYTES} bytes, found {path.stat().st_size}")
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise TagRefused(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise TagRefused(
            f"{path}: expected UTF-8, found byte {error.object[error.start]:#04x} at {error.start}"
        ) from None


def _read_csv(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    header: list[str] | None = None
    try:
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = [name.strip() for name in row]
                if len(set(header)) < len(header):
                    raise TagRefused(f"{where}: a column is named twice: {', '.join(map(repr, header))}")
                continue
            if len(row) != len(header):
                raise TagRefused(f"{where}: expected {len(header)} cells, found {len(row)}")
            yield where, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise TagRefused(f"{path}, line {reader.line_num}: {error}") from None


def _read_json(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        content = json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        line = f", line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ": too deep"
        raise TagRefused(f"{path}{line}") from None
    rows = content.get("judgements") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise TagRefused(f"{path}: expected a list of objects, or one under judgements")
    for number, row in enumerate(rows, start=1):
        where = f"{path}, object {number}"
        if not isinstance(row, dict):
            raise TagRefused(f"{where}: expected an object, found {type(row).__name__}")
        cells = {name: value for name, value in row.items() if value is not None}
        wrong = next(
            (name for name, value in cells.items() if isinstance(value, bool) or not isinstance(value, str | int)), None
        )
        if wrong is not None:
            raise TagRefused(f"{where}: {wrong}: expected text or a number, found {type(cells[wrong]).__name__}")
        yield where, {name: str(value) for name, value in cells.items()}
