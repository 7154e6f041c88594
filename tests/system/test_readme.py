"""On the dataset of `make demo`, queries of pages give the answers shown, and those of docs/catalogue.md run."""

import re

import duckdb
import pytest
from rich.console import Console
from support.readme_answers import README, differences, shown

from atlas_assets.demo.tour import tour
from atlas_resources.catalogue.build import connect
from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.plates.dataset import Dataset

pytestmark = pytest.mark.system

CATALOGUE_PAGE = PROJECT_ROOT / "docs" / "catalogue.md"
QUERIES_PAGE = PROJECT_ROOT / "docs" / "queries.md"


def statements(page: str) -> list[str]:
    """The statements of a page's SQL blocks."""
    blocks = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    return [statement for block in blocks for statement in re.split(r";[^\n]*\n", block) if statement.strip()]


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    """The catalogue of the dataset of `make demo`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        dataset = Dataset(tmp_path_factory.mktemp("demo") / "atlas")
        dataset.ensure()
        assert tour(dataset, None, Console(quiet=True))
    with connect(dataset) as opened:
        yield opened


@pytest.mark.parametrize(("page", "count"), [(README, 6), (QUERIES_PAGE, 34)], ids=["README.md", "queries.md"])
def test_each_query_gives_the_rows_below_it(connection, page, count):
    examples = shown(page)
    assert len(examples) == page.read_text(encoding="utf-8").count("```sql") == count
    wrong = {sql: found for sql, expected in examples if (found := differences(connection, sql, expected))}
    assert wrong == {}


def test_the_statements_of_the_catalogue_s_page_run(connection):
    failed = {}
    for statement in statements(CATALOGUE_PAGE.read_text(encoding="utf-8")):
        try:
            connection.execute(statement).fetchall()
        except duckdb.Error as error:
            failed[statement] = str(error)
    assert failed == {}


def test_statements_of_a_page_are_found():
    assert statements("```sql\nSHOW TABLES;  -- all\nFROM models\nLIMIT 1;\n```\n```sh\nls;\n```") == [
        "SHOW TABLES",
        "FROM models\nLIMIT 1",
    ]
    assert len(statements(CATALOGUE_PAGE.read_text(encoding="utf-8"))) >= 6
