"""Which file beside the scans is their index; no file that looks like one is ignored without a word."""

import csv
from pathlib import Path

import pytest
from openpyxl import Workbook
from support.made_scans import write_image

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.intake.scan_plan import plan_scans


@pytest.fixture
def scans(tmp_path):
    for number, name in enumerate(("birds/a.png", "birds/b.png", "c.png")):
        write_image(tmp_path / "scans" / name, (number, 9, 9))
    return tmp_path / "scans"


def reports(*paths: Path, index: Path | None = None) -> dict[str, tuple[bool, str]]:
    return {report.path.name: (report.is_used, report.text) for report in plan_scans(list(paths), index).reports}


def refusals(*paths: Path, index: Path | None = None) -> dict[str, str]:
    return {scan.path.name: scan.refusal for scan in plan_scans(list(paths), index).scans if scan.refusal}


def test_the_one_table_that_names_scans_is_used_whatever_its_name(tmp_path, scans):
    (scans / "manifest.csv").write_text("file;title;artist\nbirds/a.png;Heron;Ada\nc.png;Crane;Ben\ngone.png;x;y\n")
    assert reports(scans)["manifest.csv"] == (
        True,
        "UTF-8, semicolon, 3 rows: file from 'file', title from 'title'; kept as they are: artist;"
        " 1 row without a scan here (line 4, gone.png); 1 scan without a row (b.png)",
    )
    dataset = Dataset(tmp_path / "atlas")
    assert [one.title for one in register_scans(dataset, [scans])] == ["Heron", "b", "Crane"]
    assert dataset.plate("plate-001").manifest().extra == {"artist": "Ada"}


def test_a_row_that_differs_from_a_scan_by_case_or_extension_alone_names_it_and_does_not_describe_it(scans):
    write_image(scans / "IMG_0031.JPG")
    (scans / "list.csv").write_text("file\nc.png\nimg_0031.jpg\nIMG_0031\nBirds/A\ngone\n")
    assert (
        "; 4 rows without a scan here (line 3, img_0031.jpg: did you mean IMG_0031.JPG?, line 4, IMG_0031: did you mean"
        " IMG_0031.JPG?, line 5, Birds/A: did you mean a.png? and 1 more)"
    ) in reports(scans)["list.csv"][1]
    assert [scan.path.name for scan in plan_scans([scans]).scans if scan.find_row()] == ["c.png"]


def test_an_xlsx_is_an_index_too(tmp_path, scans):
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Bild", "Title", "year"], ["a.png", "Heron", 1827], ["b.png", "Crane", "c. 1830"]):
        sheet.append(row)
    book.save(scans / "birds" / "Liste.xlsx")
    list(register_scans(Dataset(tmp_path / "atlas"), [scans]))
    manifests = [Dataset(tmp_path / "atlas").plate(f"plate-00{n}").manifest() for n in (1, 2)]
    assert [(m.title, m.extra) for m in manifests] == [("Heron", {"year": 1827}), ("Crane", {"year": "c. 1830"})]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("notes.csv", "word,count\nheron,3\n", "none of its columns names a scan; the scans are named like 'a.png'"),
        ("list.csv", "file\nother.png\n", "its column 'file' names no scan: it has 'other.png', and the scans are"),
        ("empty.csv", "file\n", "has no rows"),
        ("facts.json", '{"camera": "x"}', "expected a list of objects, found dict"),
        ("sheet.ods", "PK", "is an OpenDocument file, which is not read. Fix: save it as XLSX or CSV"),
        ("torn.xlsx", "PK", "is not an XLSX file"),
    ],
)
def test_a_file_that_looks_like_an_index_and_is_not_used_is_reported_with_the_reason(scans, name, text, reason):
    (scans / name).write_text(text)
    is_used, said = reports(scans)[name]
    assert not is_used
    assert said.startswith(f"is not used as an index: {reason}")
    assert refusals(scans) == {}


def test_a_file_of_another_name_is_reported_where_plates_csv_is_used(scans):
    (scans / "plates.csv").write_text("file\nc.png\n")
    (scans / "old.csv").write_text("file\nc.png\n")
    assert reports(scans)["old.csv"] == (False, "is not used: plates.csv is")
    assert reports(scans)["plates.csv"][0]


def test_two_tables_that_name_scans_are_refused_together(scans):
    for name in ("old.csv", "new.csv"):
        (scans / name).write_text("file\nc.png\n")
    assert refusals(scans)["old.csv"].startswith("is in the same folder as new.csv: expected one index. Fix: move the")


def test_a_broken_table_whose_text_names_a_scan_refuses_the_scans(scans):
    (scans / "birds" / "liste.csv").write_text('file,title\na.png,"Heron\n')
    assert "is not CSV" in refusals(scans)["liste.csv"]
    assert [scan.path.name for scan in plan_scans([scans]).scans if not scan.refusal] == ["c.png"]


def test_notes_beside_each_scan_are_counted_not_listed(scans):
    for number in range(20):
        (scans / f"{number:02}.json").write_text('{"file": "c.png"}')
    found = reports(scans)
    assert list(found) == ["00.json", "01.json", "02.json"]
    assert found["02.json"][1].endswith(
        "found dict. Fix: put the objects into [ ]. Neither are 17 more files of this folder"
    )


class TestGivenIndex:
    """`--index`."""

    def test_it_is_the_only_one_and_may_be_in_any_folder(self, tmp_path, scans):
        (scans / "plates.csv").write_text("file,title\nc.png,Beside\n")
        given = tmp_path / "elsewhere.csv"
        with given.open("w", newline="") as file:
            csv.writer(file).writerows(
                [
                    ["file", "title"],
                    ["c.png", "Given"],
                    ["birds/a.png", "Heron"],
                    [str(scans / "birds" / "b.png"), "Owl"],
                ]
            )
        plan = plan_scans([scans], given)
        rows = [scan.find_row() for scan in plan.scans]
        assert [found[1].title for found in rows if found] == ["Heron", "Owl", "Given"]
        assert reports(scans, index=given)["plates.csv"] == (False, "is not used: --index names elsewhere.csv")

    @pytest.mark.parametrize(
        ("name", "text", "reason"),
        [
            ("none.csv", "file\nother.png\n", "its column 'file' names no scan: it has 'other.png'"),
            ("none.csv", "title\nx\n", "has no column with the files of the scans"),
            ("none.txt", "file\nc.png\n", "has the suffix '.txt': expected .csv, .tsv, .json or .xlsx"),
        ],
    )
    def test_one_that_describes_no_scan_is_refused_and_nothing_is_registered(self, tmp_path, scans, name, text, reason):
        (tmp_path / name).write_text(text)
        assert refusals(scans, index=tmp_path / name)[name].startswith(reason)
        assert len(plan_scans([scans], tmp_path / name).scans) == 1

    def test_one_that_is_missing_is_refused(self, tmp_path, scans):
        assert refusals(scans, index=tmp_path / "gone.csv")["gone.csv"].startswith("is not a file")
