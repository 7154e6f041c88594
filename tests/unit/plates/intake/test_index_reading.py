"""An index as spreadsheet programs save it: encoding, delimiter, cells; hostile files stay within bounds."""

import io
import json
import zipfile
from datetime import date
from pathlib import Path

import pytest
from openpyxl import Workbook

from atlas_resources.plates.intake.index import _spreadsheet, reading, table
from atlas_resources.plates.intake.index.reading import read_table
from atlas_resources.plates.intake.index.table import IndexBroken

TEXT = "Datei{d}Künstler\r\nä.tif{d}Käthe Grün\r\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("cp1252", "Windows-1252"),
        ("latin-1", "Windows-1252"),
    ],
)
def test_encoding_and_delimiter_are_recognised_and_said(tmp_path, encoding, said, delimiter):
    path = tmp_path / "list.csv"
    path.write_bytes(TEXT.format(d=delimiter).encode(encoding))
    found = read_table(path)
    assert found.coding == f"{said}, {reading.DELIMITERS[delimiter]}"
    assert found.columns == ("Datei", "Künstler")
    assert [(row.where, row.cells) for row in found.rows] == [
        ("line 2", {"Datei": "ä.tif", "Künstler": "Käthe Grün"}),
    ]


def test_a_byte_that_windows_1252_lacks_is_latin_1(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"file,name\na.png,x\x81y\n")
    found = read_table(tmp_path / "a.csv")
    assert found.coding == "Latin-1, comma"
    assert found.rows[0].cells["name"] == "x\x81y"


def test_a_comma_in_a_semicolon_file_is_no_delimiter(tmp_path):
    (tmp_path / "a.csv").write_text("Title, creator;file\nSnow, winter;a.png\nHeron;b.png\n")
    assert read_table(tmp_path / "a.csv").columns == ("Title, creator", "file")


def test_the_line_sep_that_excel_writes_names_the_delimiter(tmp_path):
    (tmp_path / "a.csv").write_text("sep=|\nfile|title\na.png|Heron\n")
    found = read_table(tmp_path / "a.csv")
    assert found.coding == "UTF-8, '|'"
    assert [(row.where, row.cells["title"]) for row in found.rows] == [("line 3", "Heron")]


def test_empty_rows_and_empty_cells_are_left_out(tmp_path):
    (tmp_path / "a.csv").write_text("file;title;year\n;;\na.png;  ;1827\n\n")
    assert [row.cells for row in read_table(tmp_path / "a.csv").rows] == [{"file": "a.png", "year": "1827"}]


def write_xlsx(path: Path, *rows: list[object], title: str = "Plates") -> Path:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(row)
    book.save(path)
    return path


class TestXlsx:
    def test_numbers_dates_and_text_are_read_from_the_first_visible_sheet_with_cells(self, tmp_path):
        path = tmp_path / "a.xlsx"
        book = Workbook()
        hidden = book.active
        assert hidden is not None
        hidden.append(["old", "notes"])
        hidden.sheet_state = "hidden"
        book.create_sheet("Empty")
        sheet = book.create_sheet("Plates")
        sheet.append(["file", "plate", "acquired", "weight"])
        sheet.append(["a.png", 13.0, date(1994, 3, 12), 1.5])
        book.save(path)
        found = read_table(path)
        assert found.coding == "XLSX, sheet Plates"
        assert [(row.where, row.cells) for row in found.rows] == [
            ("row 2", {"file": "a.png", "plate": 13, "acquired": "1994-03-12", "weight": 1.5})
        ]

    def test_a_formula_without_a_stored_value_is_refused_by_its_row(self, tmp_path):
        path = write_xlsx(tmp_path / "a.xlsx", ["file", "title"], ["a.png", '=CONCAT("a","b")'])
        with pytest.raises(IndexBroken, match=r"row 2: '=CONCAT.* has no stored value\. Fix: open it in"):
            read_table(path)

    def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(self, tmp_path, monkeypatch):
        path = write_xlsx(tmp_path / "a.xlsx", ["file"], ["a.png"])
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/bomb.xml", bytes(_spreadsheet.MAX_UNPACKED_BYTES + 1))
        assert path.stat().st_size < 1 << 20
        monkeypatch.setattr("openpyxl.load_workbook", None)
        with pytest.raises(IndexBroken, match=r"unpacks to 134,\d+,\d+ bytes; the limit is 134,217,728"):
            read_table(path)

    def test_cells_far_away_do_not_become_a_table_of_their_own_size(self, tmp_path):
        path = tmp_path / "a.xlsx"
        book = Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.append(["file"])
        sheet.cell(row=1_048_576, column=16_384, value="far")
        book.save(path)
        with pytest.raises(IndexBroken, match="has more than 100,000 rows"):
            read_table(path)

    @pytest.mark.parametrize("content", [b"PK\x03\x04", b"no archive", b"PK\x05\x06" + bytes(18)])
    def test_what_is_no_spreadsheet_is_refused(self, tmp_path, content):
        (tmp_path / "a.xlsx").write_bytes(content)
        with pytest.raises(IndexBroken, match="is not an XLSX file"):
            read_table(tmp_path / "a.xlsx")


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.json", b"[" * 200_000, "is not JSON that can be read: maximum recursion depth"),
        ("a.json", b'[{"file": ' + b"9" * 5000 + b"}]", "is not JSON that can be read: Exceeds the limit"),
        ("a.json", b'[{"file": "\\ud800"}]', "entry 1: column 1 has a character that is not text. Fix: remove it"),
        ("a.csv", b"file\n" + b"x" * 20_001, "line 2: column 1 has 20,001 characters; the limit is 20,000"),
        ("a.csv", b"x" * 201, "column 1: its name has 201 characters; the limit is 200"),
        ("a.csv", b",".join(b"c%d" % n for n in range(201)), "has 201 columns; the limit is 200"),
        (
            "a.csv",
            b"file,,title\na,b,c\n",
            "line 2: has a value in a column without a name. Fix: name it in the header",
        ),
        ("a.csv", b"file,title\na\n", "line 2: expected 2 fields, found 1. Fix: quote fields that contain a comma"),
        ("a.csv", b"", "is empty"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "is an old Excel file, which is not read. Fix: save it as XLSX or CSV"),
        ("a.ods", b"PK", "is an OpenDocument file, which is not read"),
    ],
)
def test_a_hostile_or_malformed_index_is_refused_by_row_and_column(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IndexBroken) as broken:
        read_table(tmp_path / name)
    assert complaint in broken.value.reason
    assert len(broken.value.reason) < 400


def test_more_rows_or_bytes_than_the_limit_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("file\na\nb\nc\n")
    monkeypatch.setattr(table, "MAX_ROWS", 2)
    with pytest.raises(IndexBroken, match="has more than 2 rows"):
        read_table(path)
    monkeypatch.setattr(reading, "MAX_BYTES", 5)
    with pytest.raises(IndexBroken, match="has 11 bytes; the limit for an index is 5"):
        read_table(path)


def test_json_columns_are_the_names_of_all_objects(tmp_path):
    entries = [{"file": "a.png", "year": 1827}, {"file": "b.png", "tags": ["x", "y"], "colour": True, "none": None}]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    found = read_table(tmp_path / "a.json")
    assert (found.coding, found.columns) == ("JSON, UTF-8", ("file", "year", "tags", "colour", "none"))
    assert [row.cells for row in found.rows] == [
        {"file": "a.png", "year": 1827},
        {"file": "b.png", "tags": '["x", "y"]', "colour": "true"},
    ]


def test_an_xlsx_is_read_without_its_own_word_on_its_size(tmp_path):
    """Some programs state a sheet's dimensions wrongly: here A1:A1 for two columns."""
    path = write_xlsx(tmp_path / "a.xlsx", ["file", "title"], ["a.png", "Heron"])
    changed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for member in old.namelist():
            new.writestr(member, old.read(member).replace(b'ref="A1:B2"', b'ref="A1:A1"'))
    path.write_bytes(changed.getvalue())
    assert read_table(path).rows[0].cells == {"file": "a.png", "title": "Heron"}
