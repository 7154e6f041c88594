"""DuckDB from 1.2 on opens the catalogue and gives the same answers: in Python, on the command line and in Node."""

import re
from pathlib import Path

import duckdb
import numpy as np
import pytest
from support.duckdb_clients import Answer, Client, installed_clients
from support.made_datasets import make_dataset
from support.made_results import TWO_SEGMENTS, GivenLines, GivenVectors, build_ledgers, measure, measure_groundwork

from atlas_resources.catalogue import build
from atlas_resources.catalogue._view import identifier
from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.instruments.registry import read_registry

INSTRUMENT, SEGMENTER, READER = "efficientnet_lite0", "otsu_luma", "ppocr_v6_small"
CLIENTS = installed_clients()
NO_CLIENTS = "no DuckDB clients in build/clients: make clients"
ABSENT = pytest.param(None, marks=pytest.mark.skip(reason=NO_CLIENTS))

pytestmark = pytest.mark.system

COMMENTS = (
    "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal ORDER BY ALL",
    "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL",
    "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL",
    "SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal ORDER BY ALL",
)
ANSWERS = (
    f"FROM nearest('plate-001', '{INSTRUMENT}', 2)",
    "FROM histogram_nearest('plate-001', 2)",
    f"SELECT plate_id, cosine FROM text_nearest([n + 1 FOR n IN range(1280)], '{INSTRUMENT}', 3)",
    f"SELECT run_id, inputs[1].path, len(inputs), output_sha256 FROM why('plate-002', '{INSTRUMENT}')",
    f"SELECT row_id, row_count, environment_sha256 FROM why('plate-001', '{SEGMENTER}', row_key := 'mask-0002')",
    "SELECT table_name, inputs[1].path, measure_version FROM why('plate-001', 'groundwork') ORDER BY ALL",
    "SELECT COLUMNS(*)::VARCHAR FROM affected_by('plate-003') ORDER BY ALL",
    "SELECT COLUMNS(*)::VARCHAR FROM lineage_of('plate-003') ORDER BY ALL",
    "SELECT p.plate_id, count(*) FROM plates AS p, affected_by(p.source_sha256[:12]) GROUP BY ALL ORDER BY ALL",
    "SELECT delta_e([50, 2.6772, -79.7751], [50, 0, -82.7485]), hex_lab('#2b5f8a')[3]",
    "SELECT plate_id, round(delta_e(paper_lab, hex_lab('#ffffff')), 6) FROM histograms ORDER BY ALL",
    f"SELECT p.plate_id, n.plate_id, cosine FROM plates AS p, nearest(p.plate_id, '{INSTRUMENT}', 1) AS n ORDER BY ALL",
    f"SELECT plates.plate_id, n.plate_id FROM plates, nearest(plates.plate_id, '{INSTRUMENT}', 1) AS n ORDER BY ALL",
    "FROM text_search('red plat', 3)",
    "FROM text_search('海道', 1)",
    "SELECT p.plate_id, t.text, t.similarity FROM plates AS p, text_search(p.title, 1) AS t ORDER BY ALL",
    "FROM text_contains('a ROD')",
    "FROM title_conflicts ORDER BY ALL",
    "FROM captions ORDER BY ALL",
    "FROM keywords ORDER BY ALL",
    "FROM keyword_ranks ORDER BY ALL",
    "FROM stage_candidates ORDER BY ALL",
    f"SELECT row_id, row_count FROM why('plate-001', '{READER}', row_key := 'line-0002')",
    f"FROM nearest('plate-01', '{INSTRUMENT}', 2)",
    "FROM nearest('plate-001', 'efficientnet', 2)",
    f"FROM nearest('plate-001', '{INSTRUMENT}', NULL)",
    f"FROM nearest_regions('plate-001', 'mask-0009', '{INSTRUMENT}', 2)",
    f"FROM nearest_tiles('plate-001', NULL, '{INSTRUMENT}', 2)",
    f"FROM text_nearest([1, 2, 3], '{INSTRUMENT}', 2)",
    f"FROM cosines([0 FOR n IN range(1280)], '{INSTRUMENT}')",
    "FROM why('plate-001', 'Otsu_Luma')",
    f"FROM why('plate-001', '{SEGMENTER}', row_key := 'mask-0003')",
    "FROM affected_by('plate-0003')",
    "SELECT hex_lab('blue')",
    "FROM text_search(' . ', 3)",
    "FROM text_search('red', 0)",
    "FROM text_contains(NULL)",
)
REFUSED = 14  # of ANSWERS, the last ones


def as_texts(query: str) -> str:
    return f"SELECT COLUMNS(*)::VARCHAR FROM ({query})"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of three plates with groundwork, vectors and segments, and the views of all packaged instruments."""
    dataset, registry = make_dataset(tmp_path_factory.mktemp("clients"), "red", "green", "ochre"), read_registry()
    measure_groundwork(dataset)
    vectors = np.random.default_rng(3).normal(size=(3, 1280))
    given = {f"plate-00{number + 1}": vector.tolist() for number, vector in enumerate(vectors)}
    measure(dataset, registry, INSTRUMENT, GivenVectors(given))
    measure(dataset, registry, SEGMENTER, TWO_SEGMENTS)
    measure(dataset, registry, READER, GivenLines("A rod plate", "Ocher", "東海道 100 %"))
    build_ledgers(dataset, registry)
    return build_catalogue(dataset, registry)


def answers_of_this_version(path: Path, statements: list[str]) -> list[Answer]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return [_answer(connection, statement) for statement in statements]


def _answer(connection: duckdb.DuckDBPyConnection, statement: str) -> Answer:
    try:
        return [list(row) for row in connection.execute(statement).fetchall()]
    except duckdb.Error as error:
        return str(error)


def is_alike(found: Answer, expected: Answer) -> bool:
    """Whether rows are equal, numbers to 9 digits; or the message of an error contains the macro's."""
    if isinstance(found, str) or isinstance(expected, str):
        message = str(expected).removeprefix("Invalid Input Error: ")
        return isinstance(found, str) and message in re.sub(r"\s*\n\s*", " ", found)
    pairs = [pair for row, other in zip(found, expected, strict=True) for pair in zip(row, other, strict=True)]
    return all(one == other or _is_near(one, other) for one, other in pairs)


def _is_near(found: str | None, expected: str | None) -> bool:
    try:
        return float(str(found)) == pytest.approx(float(str(expected)), rel=1e-9, abs=1e-9)
    except ValueError:
        return False


@pytest.mark.skipif(not CLIENTS, reason=NO_CLIENTS)
def test_the_oldest_and_a_newer_version_of_every_kind_of_client_are_there():
    versions = {kind: sorted(one.version for one in CLIENTS if one.kind == kind) for kind in ("python", "node", "cli")}
    assert versions["python"][0] == "1.2.0"
    assert versions["node"][0].startswith("1.2.0")
    assert versions["python"][-1] >= "2.0"
    assert versions["node"][-1] >= "1.5"
    assert versions["cli"][-1] >= "1.5"


@pytest.mark.parametrize("client", CLIENTS or [ABSENT], ids=lambda one: one and f"{one.kind}-{one.version}")
class TestClient:
    def test_it_reads_every_comment(self, client: Client, catalogue: Path):
        statements = [as_texts(query) for query in COMMENTS]
        found = client.ask(catalogue, statements)
        assert found == answers_of_this_version(catalogue, statements)
        assert all(comment for rows in found for *_, comment in rows)

    def test_it_reads_every_table_and_view(self, client: Client, catalogue: Path):
        query = "SELECT table_name FROM information_schema.tables ORDER BY ALL"
        names = [str(row[0]) for row in answers_of_this_version(catalogue, [query])[0]]
        assert len(names) > 40
        found = client.ask(catalogue, [as_texts(f"FROM {identifier(name)}") for name in names])
        assert {name: rows for name, rows in zip(names, found, strict=True) if isinstance(rows, str)} == {}
        counts = [f"SELECT count(*) FROM {identifier(name)}" for name in names]
        assert [len(rows) for rows in found] == [rows[0][0] for rows in answers_of_this_version(catalogue, counts)]

    def test_macros_give_the_same_rows_and_errors(self, client: Client, catalogue: Path):
        statements = [as_texts(query) for query in ANSWERS]
        expected = answers_of_this_version(catalogue, statements)
        is_refused = [isinstance(rows, str) and rows.startswith("Invalid Input Error: ") for rows in expected]
        assert is_refused == [False] * (len(ANSWERS) - REFUSED) + [True] * REFUSED
        found = client.ask(catalogue, statements)
        assert [
            query for query, one, other in zip(ANSWERS, found, expected, strict=True) if not is_alike(one, other)
        ] == []


@pytest.mark.parametrize(
    "client", [one for one in CLIENTS if one.kind == "python"] or [ABSENT], ids=lambda one: one and one.version
)
def test_the_text_of_views_and_macros_is_in_the_dialect_of_every_version(client: Client, catalogue: Path):
    (tables,) = answers_of_this_version(catalogue, ["SELECT sql FROM duckdb_tables() WHERE NOT internal"])
    views = [f"CREATE VIEW {identifier(view.name)} AS {view.sql}" for view in build.views_of(read_registry())]
    macros = [f"CREATE MACRO {macro.definition}" for macro in build.MACROS]
    answers = client.ask(":memory:", [*(str(row[0]) for row in tables), *views, *macros])
    assert [answer for answer in answers if isinstance(answer, str)] == []
