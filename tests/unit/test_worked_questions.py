"""Pages of worked questions: how answers are compared and written, and the form of `docs/queries.md`."""

import re

import duckdb
from support.readme_answers import differences, is_alike, shown, with_answers

from atlas_resources.files.project import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "queries.md"
TEXT = PAGE.read_text(encoding="utf-8")
QUESTION = re.compile(
    r"^### ([^\n]+\?)\n\n"  # question
    r"```sql\n([^`]+;)\n```\n\n"
    r"((?:\|[^\n]*\n)+)\n"  # answer
    r"([^#]+?)\n(?=\n#|\Z)",  # how to read it
    re.MULTILINE,
)


def test_at_least_twenty_five_questions_have_sql_an_answer_and_a_reading():
    found = QUESTION.findall(TEXT)
    assert len(found) == TEXT.count("\n### ") == len(shown(PAGE)) >= 25
    assert all(len(reading.split()) > 12 for _, _, _, reading in found)
    assert len({question for question, *_ in found}) == len(found)


def test_every_section_is_in_the_list_above():
    sections = re.findall(r"^## (.+)$", TEXT, flags=re.MULTILINE)
    assert re.findall(r"^- \[(.+?)\]\(#", TEXT, flags=re.MULTILINE) == sections


def test_values_are_compared_as_numbers_where_they_are_numbers():
    assert is_alike("0.8382", "0.8390")
    assert not is_alike("0.8382", "0.8482")
    assert is_alike("2.14.1", "…")
    assert not is_alike("plate-001", "plate-002")


def test_other_rows_columns_and_values_are_found():
    with duckdb.connect() as connection:
        sql = "SELECT 'a|b' AS name, 0.5::DOUBLE AS ratio"
        assert differences(connection, sql, [["name", "ratio"], ["a\\|b", "0.5000"]]) == []
        assert differences(connection, sql, [["name", "share"], ["a\\|b", "0.5000"]])
        assert differences(connection, sql, [["name", "ratio"], ["a\\|b", "0.6000"]])
        assert differences(connection, sql, [["name", "ratio"]])


def test_answers_are_written_below_their_queries_and_columns_that_differ_stay_open():
    sql = "```sql\nSELECT 1 AS one, version() AS version;\n```"
    page = f"# Page\n\n{sql}\n\n| one | version |\n|---|---|\n| 2 | … |\n\nText.\n"
    with duckdb.connect() as connection:
        assert with_answers(page, connection) == page.replace("| 2 |", "| 1 |")
