"""On the dataset of `make demo`, README queries give the answers shown, and those of docs/catalogue.md run."""

import re

import pytest
from rich.console import Console
from support.readme_answers import answer, shown

from atlas_assets.demo.tour import tour
from atlas_resources.catalogue.build import connect
from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.plates.dataset import Dataset

pytestmark = pytest.mark.system

CATALOGUE_PAGE = PROJECT_ROOT / "docs" / "catalogue.md"
FLOAT_TOLERANCE = 2e-3  # cosines of float32 features differ in the last digits between processors


def is_alike(found: str, expected: str) -> bool:
    try:
        return abs(float(found) - float(expected)) <= FLOAT_TOLERANCE
    except ValueError:
        return found == expected


def statements(page: str) -> list[str]:
    """The statements of a page's SQL blocks."""
    blocks = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    return [statement for block in blocks for statement in re.split(r";[^\n]*\n", block) if statement.strip()]


def test_each_query_gives_the_rows_below_it(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    dataset = Dataset(tmp_path / "atlas")
    dataset.ensure()
    assert tour(dataset, None, Console(quiet=True))
    examples = shown()
    assert len(examples) == 6
    with connect(dataset) as connection:
        for sql, expected in examples:
            found = answer(connection, sql)
            assert [len(row) for row in found] == [len(row) for row in expected], sql
            for found_row, expected_row in zip(found, expected, strict=True):
                assert all(map(is_alike, found_row, expected_row)), (sql, found_row, expected_row)
        for statement in statements(CATALOGUE_PAGE.read_text(encoding="utf-8")):
            connection.execute(statement).fetchall()


def test_statements_of_a_page_are_found():
    assert statements("```sql\nSHOW TABLES;  -- all\nFROM models\nLIMIT 1;\n```\n```sh\nls;\n```") == [
        "SHOW TABLES",
        "FROM models\nLIMIT 1",
    ]
    assert len(statements(CATALOGUE_PAGE.read_text(encoding="utf-8"))) >= 6
