"""Whatever a name or a meaning holds, it comes back from the catalogue as it was given."""

import duckdb
import polars as pl
import pytest

from atlas_resources.catalogue._view import Macro, View, create, create_macro, identifier, literal, meanings
from atlas_resources.tables.table import Column, Table

AWKWARD = """the plate's "own" column; it's -- not /* a comment */ \\ $1"""


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize("kind", ["VIEW", "TABLE"])
def test_an_apostrophe_in_a_meaning_breaks_no_build(connection, kind):
    create(connection, View("birds", "SELECT 1 AS wing", AWKWARD, {"wing": AWKWARD}), kind)
    functions = {"VIEW": "duckdb_views()", "TABLE": "duckdb_tables()"}
    assert connection.execute(f"SELECT comment FROM {functions[kind]} WHERE NOT internal").fetchall() == [(AWKWARD,)]
    assert connection.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
    ).fetchall() == [("birds", "wing", AWKWARD)]


def test_names_are_quoted(connection):
    name, column = 'the plate\'s "order"', 'select "me"'
    create(connection, View(name, f"SELECT 1 AS {identifier(column)}", "A view.", {column: "A column."}))
    assert connection.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
    ).fetchall() == [(name, column, "A column.")]


def test_an_apostrophe_in_a_macros_meaning_breaks_no_build(connection):
    create_macro(connection, Macro("next one", ("order",), 'SELECT "order" + 1 AS following', AWKWARD))
    assert connection.execute('FROM "next one"(2)').fetchall() == [(3,)]
    assert connection.execute("SELECT comment FROM duckdb_functions() WHERE NOT internal").fetchall() == [(AWKWARD,)]


def test_a_text_comes_back_from_its_literal(connection):
    assert connection.execute(f"SELECT {literal(AWKWARD)}").fetchone() == (AWKWARD,)


def test_a_column_without_a_meaning_is_refused(connection):
    with pytest.raises(ValueError, match="birds: expected a meaning of every column, found none of beak, tail"):
        create(connection, View("birds", "SELECT 1 AS wing, 2 AS beak, 3 AS tail", "Birds.", {"wing": "A wing."}))


def test_a_column_means_what_is_derived_or_what_the_first_table_says():
    first = Table("first", "", (Column("a", pl.Int64, "a of first"), Column("b", pl.Int64, "b of first")), ("a",))
    second = Table("second", "", (Column("b", pl.Int64, "b of second"), Column("c", pl.Int64, "c of second")), ("b",))
    assert meanings(first, second, a="derived") == {"a": "derived", "b": "b of first", "c": "c of second"}
