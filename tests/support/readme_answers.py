"""SQL queries of the README and of pages with the answers shown below them, and a catalogue's answers in the same form.

`PYTHONPATH=tests python -m support.readme_answers docs/queries.md CATALOGUE` writes a catalogue's answers into a page.
"""

import re
import sys
from pathlib import Path

import duckdb

from atlas_resources.files.project import PROJECT_ROOT

README = PROJECT_ROOT / "README.md"
BLOCK = re.compile(r"```sql\n(?P<sql>.*?)```\n+(?P<table>(?:\|[^\n]*\n)+)", re.DOTALL)
ANY = "…"
"""In a page, a value that differs between machines."""
FLOAT_TOLERANCE = 2e-3  # cosines of float32 features differ in the last digits between processors


def shown(page: Path = README) -> list[tuple[str, list[list[str]]]]:
    """Each query with the rows of the table after it, header first."""
    text = page.read_text(encoding="utf-8")
    return [(match["sql"], _cells(match["table"])) for match in BLOCK.finditer(text)]


def _cells(table: str) -> list[list[str]]:
    header, _, *rows = table.strip().splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])] for line in (header, *rows)]


def answer(connection: duckdb.DuckDBPyConnection, sql: str) -> list[list[str]]:
    """The answer as a page shows it: floats to four digits."""
    result = connection.execute(sql)
    header = [column[0] for column in result.description or []]
    return [header, *([_shown(value) for value in row] for row in result.fetchall())]


def _shown(value: object) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", "\\|")


def is_alike(found: str, expected: str) -> bool:
    """Whether a value is the one shown."""
    try:
        return expected == ANY or abs(float(found) - float(expected)) <= FLOAT_TOLERANCE
    except ValueError:
        return found == expected


def differences(connection: duckdb.DuckDBPyConnection, sql: str, expected: list[list[str]]) -> list[str]:
    """Where a catalogue's answer differs from the one shown; empty if it does not."""
    found = answer(connection, sql)
    if [len(row) for row in found] != [len(row) for row in expected]:
        return [f"expected {len(expected) - 1} rows of {expected[0]}, found {found}"]
    pairs = zip(found, expected, strict=True)
    return [f"expected {was}, found {row}" for row, was in pairs if not all(map(is_alike, row, was))]


def with_answers(text: str, connection: duckdb.DuckDBPyConnection) -> str:
    """A page with a catalogue's answers below its queries. Columns of `…` stay so."""

    def replaced(match: re.Match[str]) -> str:
        header, *rows = answer(connection, match["sql"])
        old_header, *old_rows = _cells(match["table"])
        masked = {
            name for number, name in enumerate(old_header) if old_rows and all(row[number] == ANY for row in old_rows)
        }
        kept = [[ANY if name in masked else cell for name, cell in zip(header, row, strict=True)] for row in rows]
        lines = [header, ["---"] * len(header), *kept]
        table = "".join(
            "|" + "|".join(line if line[0] == "---" else (f" {cell} " for cell in line)) + "|\n" for line in lines
        )
        return f"```sql\n{match['sql']}```\n\n{table}"

    return BLOCK.sub(replaced, text)


if __name__ == "__main__":
    page, catalogue = map(Path, sys.argv[1:])
    with duckdb.connect(str(catalogue), read_only=True) as opened:
        page.write_text(with_answers(page.read_text(encoding="utf-8"), opened), encoding="utf-8")
