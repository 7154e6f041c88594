"""`atlas plates` as a curator uses it: a spreadsheet in, what was understood said, corrections by a template."""

import os

import pytest
from openpyxl import Workbook
from support.made_scans import write_image
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.refused_scans import read_refused_scans


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.setattr(cli.console, "_width", 300)
    monkeypatch.chdir(tmp_path)
    return Dataset(tmp_path / "atlas")


@pytest.fixture
def scans(tmp_path):
    """Three scans, of which one is torn, with an XLSX that names them."""
    folder = tmp_path / "scans"
    for number, name in enumerate(("a.png", "b.png")):
        write_image(folder / name, (number, 9, 9))
    (folder / "torn.tif").write_bytes(b"torn")
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Bild", "Title", "artist"], ["a.png", "Heron [obverse]", "Ada"], ["b.png", "Crane", "Ben"]):
        sheet.append(row)
    book.save(folder / "Liste.xlsx")
    return folder


def atlas(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_adding_says_what_was_understood_and_what_was_refused(home, scans):
    result = atlas("plates", "add", scans)
    assert result.exit_code == 1
    assert (
        f"index {scans}/Liste.xlsx: XLSX, sheet Sheet, 2 rows: file from 'Bild', title from 'Title'; kept as they are:"
        " artist; 1 scan without a row (torn.tif)"
    ) in result.output
    assert f"plate-001  {scans}/a.png  Heron [obverse]" in result.output
    assert f"refused {scans}/torn.tif: is not an image that can be read" in result.output
    assert "2 registered, 0 already registered, 1 refused" in result.output
    assert [scan.path for scan in read_refused_scans(home)] == [str(scans / "torn.tif")]


def test_a_dry_run_shows_the_same_and_writes_nothing(home, scans):
    result = atlas("plates", "add", scans, "--dry-run")
    assert result.exit_code == 1
    assert f"plate-002  {scans}/b.png  Crane" in result.output
    assert f"would be refused {scans}/torn.tif" in result.output
    assert "would be 2 registered, 0 already registered, 1 refused" in result.output
    assert not home.root.exists()


def test_a_table_that_is_not_used_is_reported(home, scans):
    (scans / "words.csv").write_text("word\nheron\n")
    assert (
        f"note: {scans}/words.csv is not used as an index: none of its columns" in atlas("plates", "add", scans).output
    )


def test_corrections_go_out_and_come_back_as_a_table(home, scans, tmp_path):
    (scans / "torn.tif").unlink()
    atlas("plates", "add", scans)
    assert "2 plates. Correct it, then: atlas plates update plates.csv --dry-run" in atlas("plates", "export").output
    path = tmp_path / "plates.csv"
    assert atlas("plates", "export").exit_code == 1
    assert atlas("plates", "export", "--force").exit_code == 0
    path.write_bytes(path.read_bytes().replace(b"Crane", b"Common crane"))
    assert "plate-002  corrected: title, slug\n" in atlas("plates", "update", path).output
    assert home.plate("plate-002").manifest().title == "Common crane"


def test_a_correction_is_shown_with_the_fields_that_changed(home, scans, tmp_path):
    (scans / "torn.tif").unlink()
    atlas("plates", "add", scans)
    (tmp_path / "fix.csv").write_text("plate_id;title;medium\nplate-001;Heron;etching\nplate-009;x;y\n")
    dry = atlas("plates", "update", "fix.csv", "--dry-run")
    assert "plate-001  would be corrected: title, slug, medium" in dry.output
    assert home.plate("plate-001").manifest().manifest_version == 1
    done = atlas("plates", "update", "fix.csv")
    assert done.exit_code == 1
    assert "index fix.csv: UTF-8, semicolon, 2 rows: plate id from 'plate_id', title from 'title'; kept" in done.output
    assert "refused line 3: plate-009 is not registered" in done.output
    assert "1 corrected, 0 unchanged, 1 refused" in done.output
    shown = atlas("plates", "show", "plate-001").output
    assert "title: Heron\n" in shown
    assert "extra.medium: etching" in shown
    assert "UTC: title, slug, medium" in shown


def test_an_index_that_changed_beside_the_scans_is_said_with_the_command_that_takes_it_over(home, scans):
    (scans / "torn.tif").unlink()
    os.remove(scans / "Liste.xlsx")
    (scans / "plates.csv").write_text("file,title\na.png,Heron\n")
    atlas("plates", "add", scans)
    (scans / "plates.csv").write_text("file,title\na.png,Grey heron\n")
    result = atlas("plates", "add", scans)
    assert "1 plate is registered with other index data (plate-001: title, slug)" in result.output
    assert "To correct them: atlas plates update INDEX" in result.output
    assert "1 corrected" in atlas("plates", "add", scans, "--index", scans / "plates.csv").output
    assert home.plate("plate-001").manifest().title == "Grey heron"


@pytest.mark.parametrize("arguments", [["update", "gone.csv"], ["show", "plate-009"], ["show", "../x"], ["export"]])
def test_what_cannot_be_done_is_one_line_and_exit_code_1(home, arguments):
    result = atlas("plates", *arguments)
    assert result.exit_code == 1
    assert len(result.output.strip().splitlines()) == 1


def test_a_broken_plate_ends_a_registration_in_one_line_before_it_begins(home, scans):
    (scans / "torn.tif").unlink()
    atlas("plates", "add", scans / "a.png")
    home.plate("plate-001").manifest_path.write_text("{")
    result = atlas("plates", "add", scans)
    assert result.exit_code == 1
    assert result.output.strip().splitlines()[-1].startswith(f"{home.plate('plate-001').manifest_path}: is not a valid")
    assert home.plate_ids() == ["plate-001"]


def test_a_dry_run_of_corrections_works_on_a_dataset_that_is_not_written_to(home, scans):
    (scans / "torn.tif").unlink()
    atlas("plates", "add", scans)
    lock = home.plates_dir / ".registration.lock"
    lock.unlink()
    assert "would be 0 registered, 2 already registered" in atlas("plates", "add", scans, "--dry-run").output
    assert not lock.exists()
