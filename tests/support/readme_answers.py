"""The README's SQL queries with their answers, and a catalogue's answers in the same form."""

import re

import duckdb

from atlas_resources.files.project import PROJECT_ROOT

README = PROJECT_ROOT / "README.md"
BLOCK = re.compile(r"```sql\n(?P<sql>.*?)```\n+(?P<table>(?:\|[^\n]*\n)+)", re.DOTALL)


def shown() -> list[tuple[str, list[list[str]]]]:
    """Each query with the rows of the table after it, header first."""
    text = README.read_text(encoding="utf-8")
    return [(match["sql"], _cells(match["table"])) for match in BLOCK.finditer(text)]


def _cells(table: str) -> list[list[str]]:
    header, _, *rows = table.strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, *rows)]


def answer(connection: duckdb.DuckDBPyConnection, sql: str) -> list[list[str]]:
    """The answer in the README's form: floats to four digits."""
    result = connection.execute(sql)
    header = [column[0] for column in result.description or []]
    rows = [[f"{value:.4f}" if isinstance(value, float) else str(value) for value in row] for row in result.fetchall()]
    return [header, *rows]
