"""The view `plate_index`: a column for each further column of any index, under its own name, in the catalogue."""

import csv
from collections.abc import Callable

import duckdb
import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_results import build_ledgers
from support.made_scans import write_image

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans

Catalogue = Callable[..., duckdb.DuckDBPyConnection]


@pytest.fixture
def catalogue(tmp_path, fakes) -> Catalogue:
    """Makes the catalogue of plates with these rows of an index each, in a folder of its own for each index."""

    def build(*indexes: tuple[list[str], list[list[str]]]) -> duckdb.DuckDBPyConnection:
        dataset = Dataset(tmp_path / "atlas")
        for number, (header, rows) in enumerate(indexes):
            folder = tmp_path / f"scans-{number}"
            folder.mkdir()
            with (folder / "plates.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([["file", *header], *([f"{n}.png", *row] for n, row in enumerate(rows))])
            for n in range(len(rows)):
                write_image(folder / f"{n}.png", (number, n, 9))
            assert {one.status for one in register_scans(dataset, [folder])} == {"registered"}
        registry = fake_registry(fake_spec(EMBEDDER))
        build_ledgers(dataset, registry)
        return duckdb.connect(str(build_catalogue(dataset, registry)), read_only=True)

    return build


def test_each_further_column_is_a_column_and_whole_numbers_are_integers(catalogue):
    with catalogue(
        (["title", "artist", "year", "span"], [["Heron", "Ada", "1827", "1827"], ["Crane", "", "1830", "1830-1831"]])
    ) as connection:
        assert connection.execute("SELECT title, artist, year, span FROM plate_index ORDER BY plate_id").fetchall() == [
            ("Heron", "Ada", 1827, "1827"),
            ("Crane", None, 1830, "1830-1831"),
        ]
        assert connection.execute("SELECT sum(year) FROM plate_index WHERE artist ILIKE 'a%'").fetchone() == (1827,)


def test_a_ledger_s_json_gives_the_same(catalogue):
    with catalogue((["artist"], [["Ada"]])) as connection:
        assert connection.execute("SELECT extra->>'artist' FROM plates").fetchall() == [("Ada",)]


NAMES = [
    'my "own"',
    "it's",
    "a/b",
    "~tilde",
    "$path",
    "a.b",
    "]); DROP TABLE plates; --",
    "Größe in mm",
    "select",
    "0",
    "*",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_column(catalogue, name):
    with catalogue(([name], [["value"]])) as connection:
        (found,) = connection.execute("FROM plate_index").fetchall()
        assert found[-1] == "value"
        assert [column[0] for column in connection.description or []][-1] == name
        (comment,) = connection.execute(
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'plate_index' AND column_name = ?", [name]
        ).fetchall()
        assert comment == (f"Column {name!r} of the index: text.",)


def test_names_that_differ_in_case_are_one_column_and_no_column_is_hidden(catalogue):
    with catalogue(
        (["Artist"], [["Ada"]]), (["artist", "title", "name", "plate_id"], [["Ben", "Crane", "Grus", "crane-1"]])
    ) as connection:
        assert connection.execute('SELECT plate_id, "Artist", name FROM plate_index ORDER BY plate_id').fetchall() == [
            ("crane-1", "Ben", "Grus"),
            ("plate-001", "Ada", None),
        ]


def test_without_further_columns_it_has_the_identity(catalogue):
    with catalogue((["title"], [["Heron"]])) as connection:
        assert connection.execute("FROM plate_index").fetchall() == [("plate-001", 1, "Heron", None)]


def test_a_refused_scan_and_its_reason_are_in_sql(catalogue, tmp_path):
    (tmp_path / "torn.tif").write_bytes(b"torn")
    list(register_scans(Dataset(tmp_path / "atlas"), [tmp_path / "torn.tif"]))
    with catalogue((["title"], [["Heron"]])) as connection:
        assert connection.execute("SELECT path, fix FROM refused_scans").fetchall() == [
            (f"{tmp_path}/torn.tif", "export the scan again")
        ]
