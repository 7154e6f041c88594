"""Which column is which field, decided by the scans' names and by spelling; what cannot be decided is refused."""

import pytest

from atlas_resources.plates.intake.index.columns import understand
from atlas_resources.plates.intake.index.rows import build_index
from atlas_resources.plates.intake.index.table import IndexBroken, build_table


def made(*rows: list[object], path_):
    return build_table(path_, "made", list(enumerate(rows, start=1)), "row")


@pytest.fixture
def table(tmp_path):
    return lambda *rows: made(*rows, path_=tmp_path / "list.csv")


def is_scan(name: str) -> bool:
    return name in {"a.png", "b.png", "birds/a.png"}


@pytest.mark.parametrize(
    "name", ["file", "File name", "fileName", "file_name", "image", "Image File", "path", "name", "Datei", "scan"]
)
def test_the_column_whose_values_name_scans_has_the_files(table, name):
    columns = understand(table(["artist", name], ["Ada", "a.png"], ["Ben", "b.png"]), is_scan)
    assert columns.file == name
    assert columns.further == ("artist",)


def test_a_column_name_has_titles_unless_its_values_are_files(table):
    files = understand(table(["name", "title"], ["a.png", "Heron"]), is_scan)
    assert (files.file, files.of_field) == ("name", {"title": "title"})
    titles = understand(table(["file", "name"], ["a.png", "Heron"]), is_scan)
    assert (titles.file, titles.of_field) == ("file", {"title": "name"})
    both = understand(table(["file", "name", "title"], ["a.png", "Ardea", "Heron"]), is_scan)
    assert (both.of_field, both.further) == ({"title": "title"}, ("name",))


def test_values_decide_before_spelling(table):
    columns = understand(table(["image", "path"], ["https://example.org/1", "birds\\a.png"]), is_scan)
    assert (columns.file, columns.further) == ("path", ("image",))


def test_a_spelling_decides_if_no_value_names_a_scan(table):
    assert understand(table(["title", "filename"], ["Heron", "other.png"]), is_scan).file == "filename"
    assert understand(table(["title", "Datei"], ["Heron", "other.png"]), is_scan).file is None


def test_two_columns_that_name_different_scans_are_refused_by_name(table):
    with pytest.raises(IndexBroken) as broken:
        understand(table(["file", "image"], ["a.png", "a.png"], ["a.png", "b.png"]), is_scan)
    assert broken.value.reason == (
        "row 3: columns 'file' and 'image' name different scans, a.png and b.png: expected one column with the files."
        " Fix: remove or rename one of them"
    )


def test_a_path_and_a_name_of_the_same_scan_agree(table):
    assert understand(table(["path", "file"], ["birds/a.png", "a.png"]), is_scan).file == "file"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (["file", "Plate Number"], {"plate": "Plate Number"}),
        (["file", "number"], {"plate": "number"}),
        (["file", "plate", "number"], {"plate": "plate"}),
        (["file", "plate_id", "plate_number"], {"plate_id": "plate_id", "plate": "plate_number"}),
        (["file", "rights"], {"licence": "rights"}),
        (["file", "License", "rights", "license_url"], {"licence": "License"}),
        (["file", "license_url"], {"licence": "license_url"}),
        (["file", "download_url", "slug"], {"download": "download_url", "slug": "slug"}),
        (["file", "artist", "year", "place"], {}),
    ],
)
def test_other_spellings_are_understood_and_the_rest_is_kept(table, header, expected):
    columns = understand(table(header, ["a.png", *(f"cell {n}" for n in range(len(header) - 1))]), is_scan)
    assert columns.of_field == expected
    assert columns.further == tuple(column for column in header[1:] if column not in expected.values())


def test_two_columns_of_one_field_are_refused_unless_they_are_equal(table):
    assert understand(table(["file", "plate", "plate_no"], ["a.png", 7, 7]), is_scan).of_field == {"plate": "plate"}
    with pytest.raises(IndexBroken, match="columns 'plate' and 'plate_no' may both be the plate: expected one"):
        understand(table(["file", "plate", "plate_no"], ["a.png", 7, 8]), is_scan)


def test_a_whole_number_is_an_integer_and_everything_else_stays_text(table):
    header = ["file", "year", "span", "accession", "weight", "bc", "long"]
    index = build_index(table(header, ["a.png", "1827", "1827-1838", "0042", 1.5, -500, "1" * 19]), is_scan)
    assert dict(index.rows[0].extra) == {
        "year": 1827,
        "span": "1827-1838",
        "accession": "0042",
        "weight": "1.5",
        "bc": -500,
        "long": "1" * 19,
    }


def test_what_was_understood_is_said(table):
    columns = understand(table(["Image", "Title", "artist", "year"], ["a.png", "Heron", "Ada", 1827]), is_scan)
    assert columns.describe() == "file from 'Image', title from 'Title'; kept as they are: artist, year"


def test_more_than_a_hundred_further_columns_are_refused(table):
    header = ["file", *(f"c{n}" for n in range(101))]
    with pytest.raises(IndexBroken, match="has 101 further columns; the limit is 100"):
        build_index(table(header, ["a.png"]), is_scan)
