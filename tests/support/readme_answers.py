"""The README's SQL and the answers it shows: read from its text, asked of a catalogue."""

import re
from pathlib import Path

import duckdb

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"```sql\n(?P<sql>.*?)```\n+(?P<table>(?:\|[^\n]*\n)+)", re.DOTALL)


def shown() -> list[tuple[str, list[list[str]]]]:
    """Each query with the rows of the table below it, header first."""
    text = README.read_text(encoding="utf-8")
    return [(match["sql"], _cells(match["table"])) for match in BLOCK.finditer(text)]


def _cells(table: str) -> list[list[str]]:
    header, _, *rows = table.strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, *rows)]


def answer(connection: duckdb.DuckDBPyConnection, sql: str) -> list[list[str]]:
    """The answer as the README writes it: floats to four digits."""
    result = connection.execute(sql)
    header = [column[0] for column in result.description or []]
    rows = [[f"{value:.4f}" if isinstance(value, float) else str(value) for value in row] for row in result.fetchall()]
    return [header, *rows]


def markdown(rows: list[list[str]]) -> str:
    """The rows as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
