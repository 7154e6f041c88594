"""Macros on topology: what they answer of given ledgers, and that they refuse what they do not know."""

import duckdb
import pytest
from support.made_catalogue import made_catalogue

PLATES = [{"plate_id": f"plate-00{number}", "title": title} for number, title in enumerate("ABCD", start=1)]
SPACES = [
    {"space": "one", "kind": "embedding"},
    {"space": "two", "kind": "embedding"},
    {"space": "colour_histogram", "kind": "colour"},
]


def near(space: str, plate: int, *others: tuple[int, float]) -> list[dict]:
    return [
        {"space": space, "plate_id": f"plate-00{plate}", "neighbour_id": f"plate-00{other}", "rank": rank, "cosine": c}
        for rank, (other, c) in enumerate(others, start=1)
    ]


def of_plate(space: str, plate: int, **more: object) -> dict:
    own = {"space": space, "plate_id": f"plate-00{plate}", "mean_cosine": 0.5, "std_cosine": 0.1, "is_outlier": False}
    return {**own, **more}


@pytest.fixture(scope="module")
def catalogue() -> duckdb.DuckDBPyConnection:
    return made_catalogue(
        plates=PLATES,
        spaces=SPACES,
        neighbours=[
            *near("one", 1, (2, 0.9), (3, 0.7)),
            *near("two", 1, (3, 0.8), (4, 0.6)),
            *near("colour_histogram", 1, (4, 0.99)),
        ],
        plate_spaces=[
            of_plate("one", 1, cluster=0, is_exemplar=False, cluster_probability=1.0),
            of_plate("one", 2, cluster=0, is_exemplar=True, cluster_probability=0.5),
            of_plate("one", 3, cluster=1, is_exemplar=True, cluster_probability=1.0),
            of_plate("one", 4, is_outlier=True, outlier_factor=2.0),
            of_plate("two", 1),
            of_plate("two", 3, is_outlier=True, outlier_factor=3.0),
            of_plate("two", 4, is_outlier=True, outlier_factor=1.6),
        ],
        plate_agreement=[
            {"plate_id": "plate-003", "is_outlier_everywhere": False},
            {"plate_id": "plate-004", "is_outlier_everywhere": True},
        ],
        near_duplicates=[{"first_plate": "plate-001", "second_plate": "plate-003", "group_number": 1}],
    )


def test_the_ensemble_fuses_the_ranks_of_embedding_spaces(catalogue):
    """3 has 1/62 + 1/61; 2 has 1/61; 4 has 1/62, as colour has no vote."""
    rows = catalogue.sql("SELECT plate_id, title, score, space_count FROM ensemble_nearest('plate-001', 3)").fetchall()
    assert [row[:2] for row in rows] == [("plate-003", "C"), ("plate-002", "B"), ("plate-004", "D")]
    assert [row[2] for row in rows] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62])
    assert [row[3] for row in rows] == [2, 1, 1]


def test_every_vote_is_visible_and_cosines_are_standardised(catalogue):
    """(0.7 - 0.5) / 0.1 and (0.8 - 0.5) / 0.1 have the mean 2.5."""
    query = "SELECT votes, mean_z FROM ensemble_nearest('plate-001', 1)"
    ((votes, mean_z),) = catalogue.sql(query).fetchall()
    assert votes == [{"space": "one", "rank": 2, "cosine": 0.7}, {"space": "two", "rank": 1, "cosine": 0.8}]
    assert mean_z == pytest.approx(2.5)


def test_duplicates_have_their_titles(catalogue):
    query = "SELECT group_number, first_title, second_title FROM duplicates()"
    assert catalogue.sql(query).fetchall() == [(1, "A", "C")]


def test_outliers_in_every_space_come_first(catalogue):
    query = "SELECT plate_id, spaces, largest_factor FROM outliers()"
    assert catalogue.sql(query).fetchall() == [("plate-004", ["one", "two"], 2.0), ("plate-003", ["two"], 3.0)]


def test_clusters_begin_with_the_largest_and_its_exemplar(catalogue):
    query = "SELECT cluster, plate_count, plate_id, is_exemplar FROM clusters('one')"
    assert catalogue.sql(query).fetchall() == [
        (0, 2, "plate-002", True),
        (0, 2, "plate-001", False),
        (1, 1, "plate-003", True),
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("ensemble_nearest('plate-1', 3)", "no plate 'plate-1'. Did you mean plate-001"),
        ("ensemble_nearest('plate-001', 0)", "expected k to be a whole number from 1"),
        ("clusters('on')", "no space 'on'. Did you mean one"),
    ],
)
def test_what_is_not_known_is_refused_by_name(catalogue, call, message):
    with pytest.raises(duckdb.InvalidInputException, match=message):
        catalogue.sql(f"FROM {call}").fetchall()
