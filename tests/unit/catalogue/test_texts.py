"""Words are found in spite of letters read wrongly, and a title that another plate carries is seen."""

import duckdb
import pytest
from support.made_catalogue import made_catalogue

from atlas_resources.catalogue._view import create
from atlas_resources.catalogue.texts.titles import TITLE_CONFLICTS

PLATES = [
    {"plate_id": "plate-001", "title": "Ruby Throated Humming Bird"},
    {"plate_id": "plate-002", "title": "Snow Bird"},
    {"plate_id": "plate-003", "title": "Mallard Duck"},
    {"plate_id": "plate-004", "title": None},
]
LINES = {
    "plate-001": ("RubyAhrated Humming Birdo", "TROCHILUS COLUBRIS.", "PLATE.47."),
    "plate-002": ("Snon Bird.", "FRINGILLA NIVALIS,", "PLATE 13."),
    "plate-003": ("Mallard Duck.", "PLATE 221."),
    "plate-004": ("東海道五拾三次", "100 % Gúmmi_"),
}


def text_row(plate_id: str, number: int, text: str, **columns: object) -> dict[str, object]:
    row = {"plate_id": plate_id, "instrument": "reader", "run_id": "run-1", "text_id": f"line-{number:04d}"}
    return {**row, "form": "transcription", "text": text, "score": 0.5, "is_current": True, **columns}


TEXTS = [
    *(text_row(plate_id, number, text) for plate_id, found in LINES.items() for number, text in enumerate(found, 1)),
    text_row("plate-003", 8, "Snow Bird", is_above_threshold=False),
    text_row("plate-003", 9, "Snow Bird", is_current=False),
    text_row("plate-003", 10, "Snow Bird", form="caption", status="cut_off", is_above_threshold=None),
    text_row("plate-003", 11, "A duck on a lake", form="caption", status="done", is_above_threshold=None),
]


def catalogue(plates: list[dict] = PLATES) -> duckdb.DuckDBPyConnection:
    connection = made_catalogue(plates=plates, texts=TEXTS)
    create(connection, TITLE_CONFLICTS)
    return connection


@pytest.fixture(scope="module")
def connection():
    with catalogue() as connection:
        yield connection


class TestSearch:
    def test_a_word_read_wrongly_is_found_and_an_exact_one_comes_first(self, connection):
        """By hand: snow and snon share s, n, o, no two out of order, and two letters of prefix:
        jaro = (3/4 + 3/4 + 1) / 3 = 5/6, and jaro + 0.1 * 3 * (1 - jaro) = 0.883 with a prefix of three letters."""
        rows = connection.execute("SELECT plate_id, text, similarity FROM text_search('SNOW bird', 9)").fetchall()
        assert rows[0] == ("plate-002", "Snon Bird.", pytest.approx((0.8833333 + 1) / 2))
        assert [row[0] for row in rows] == ["plate-002", "plate-001"]

    def test_a_plate_has_one_row_and_k_limits_them(self, connection):
        assert connection.execute("SELECT plate_id, text_id FROM text_search('plate', 2)").fetchall() == [
            ("plate-001", "line-0003"),
            ("plate-002", "line-0003"),
        ]

    def test_a_usable_answer_is_found_too(self, connection):
        assert connection.execute("SELECT plate_id, text FROM text_search('lake', 9)").fetchall() == [
            ("plate-003", "A duck on a lake")
        ]

    def test_texts_below_the_threshold_of_older_runs_and_cut_off_are_left_out(self, connection):
        assert ("plate-003",) not in connection.execute("SELECT plate_id FROM text_search('Snow', 9)").fetchall()
        assert connection.execute("FROM text_contains('Snow Bird')").fetchall() == []

    def test_a_part_is_found_in_a_script_without_spaces_and_not_in_latin(self, connection):
        assert connection.execute("SELECT plate_id, similarity FROM text_search('東海道', 9)").fetchall() == [
            ("plate-004", 1.0)
        ]
        assert connection.execute("FROM text_search('ard', 9)").fetchall() == []

    def test_words_may_come_from_another_table(self, connection):
        query = "FROM (VALUES ('Mallard'), ('Trochilus')) AS asked_for(word), text_search(word, 1) SELECT plate_id"
        found = connection.execute(query).fetchall()
        assert sorted(found) == [("plate-001",), ("plate-003",)]


class TestContains:
    def test_case_and_accents_do_not_count_and_wildcards_are_letters(self, connection):
        assert connection.execute("SELECT text_id FROM text_contains('100 % gummi_')").fetchall() == [("line-0002",)]
        assert connection.execute("SELECT text_id FROM text_contains('1%i')").fetchall() == []

    def test_rows_are_in_order_with_their_title(self, connection):
        assert connection.execute("SELECT plate_id, title, text FROM text_contains('plate')").fetchall() == [
            ("plate-001", "Ruby Throated Humming Bird", "PLATE.47."),
            ("plate-002", "Snow Bird", "PLATE 13."),
            ("plate-003", "Mallard Duck", "PLATE 221."),
        ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("text_search('', 3)", "text_search: expected words to look for, found ''."),
        ("text_search('. ,', 3)", "text_search: expected words to look for, found '. ,'."),
        ("text_search(NULL, 3)", "text_search: expected words to look for, found NULL."),
        ("text_search('bird', 0)", "text_search: expected k to be a whole number from 1, found 0."),
        ("text_search('bird', NULL)", "text_search: expected k to be a whole number from 1, found NULL."),
        ("text_contains('')", "text_contains: expected words to look for, found ''."),
    ],
)
def test_what_cannot_be_looked_for_is_refused(connection, call: str, message: str):
    with pytest.raises(duckdb.Error, match="expected") as error:
        connection.execute(f"FROM {call}").fetchall()
    assert message in str(error.value)


class TestTitleConflicts:
    def test_titles_that_were_read_are_no_conflict(self, connection):
        rows = connection.execute(
            "SELECT plate_id, text_id, text, is_other_better FROM title_conflicts ORDER BY plate_id"
        ).fetchall()
        assert rows == [
            ("plate-001", "line-0001", "RubyAhrated Humming Birdo", False),
            ("plate-002", "line-0001", "Snon Bird.", False),
            ("plate-003", "line-0001", "Mallard Duck.", False),
        ]

    def test_two_plates_swapped_in_the_index_both_show_up(self):
        titles = {row["plate_id"]: row["title"] for row in PLATES}
        swapped = {**titles, "plate-001": titles["plate-003"], "plate-003": titles["plate-001"]}
        with catalogue([{"plate_id": plate_id, "title": title} for plate_id, title in swapped.items()]) as connection:
            rows = connection.execute(
                "SELECT plate_id, title, similarity, other_plate_id, other_title, other_similarity "
                "FROM title_conflicts WHERE is_other_better ORDER BY plate_id"
            ).fetchall()
        first, second = rows
        assert first[:5] == ("plate-001", "Mallard Duck", 0.0, "plate-003", "Ruby Throated Humming Bird")
        assert second == ("plate-003", "Ruby Throated Humming Bird", 0.0, "plate-001", "Mallard Duck", 1.0)
