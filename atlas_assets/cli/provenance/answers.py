"""Answers of the catalogue as dictionaries, as JSON, and the text of its errors."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]
SHOWN_DIGITS = 12
"""Digits of a digest in text; `atlas affected-by` takes them."""


def ask(connection: "duckdb.DuckDBPyConnection", query: str, *arguments: object) -> list[Row]:
    """The rows of a query, by the names of its columns."""
    result = connection.execute(query, list(arguments))
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def as_json(content: object) -> str:
    """Rows as JSON; times are in ISO 8601."""
    return json.dumps(content, indent=1, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def message_of(error: Exception) -> str:
    """What went wrong. A macro's own message is shown without DuckDB's prefix."""
    return str(error).removeprefix("Invalid Input Error: ")


def short(digest: str | None) -> str:
    """The first digits of a digest."""
    return (digest or "")[:SHOWN_DIGITS]
