"""Which plate a scan becomes, with an index and without, and that adding again changes nothing."""

import csv
import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_scans import write_image

from atlas_resources.plates.contracts import PLATE_ID_PATTERN
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.identity import slugify
from atlas_resources.plates.intake.index.rows import number_of_id, numbered_id
from atlas_resources.plates.intake.registration import Registration, register_scans


@pytest.fixture
def dataset(tmp_path):
    return Dataset(tmp_path / "atlas")


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    return folder


def write_scans(folder: Path, *names: str) -> list[Path]:
    """A scan for each name, each of a different colour."""
    return [write_image(folder / name, (n, 255 - n, len(name))) for n, name in enumerate(names)]


def outcomes(registrations: list[Registration]) -> list[tuple[str, str, str | None]]:
    return [(r.path.name, r.status, r.plate_id) for r in registrations]


def register(dataset: Dataset, *paths: Path) -> list[tuple[str, str, str | None]]:
    return outcomes(list(register_scans(dataset, list(paths))))


def refusal(dataset: Dataset, *paths: Path) -> str:
    (refused,) = [r for r in register_scans(dataset, list(paths)) if r.status == "refused"]
    assert refused.plate_id is None
    assert refused.reason
    assert "\n" not in refused.reason
    return refused.reason


def write_csv(path: Path, *rows: dict[str, object]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


class TestWithoutAnIndex:
    def test_ids_are_given_in_the_order_of_the_arguments(self, dataset, scans):
        b, a = write_scans(scans, "b.png", "a.png")
        assert register(dataset, b, a) == [("b.png", "registered", "plate-001"), ("a.png", "registered", "plate-002")]
        assert dataset.plate_ids() == ["plate-001", "plate-002"]

    def test_a_folder_is_read_in_order_of_names_without_hidden_and_other_files(self, dataset, scans):
        write_scans(scans, "b/2.png", "c.jpg", "b/1.tif", "a.webp", ".hidden.png", ".folder/x.png")
        (scans / "notes.txt").write_text("notes")
        assert [name for name, _, _ in register(dataset, scans)] == ["a.webp", "1.tif", "2.png", "c.jpg"]

    def test_a_folder_that_links_to_itself_is_read_once(self, dataset, scans):
        write_scans(scans, "a.png")
        (scans / "again").symlink_to(scans)
        assert register(dataset, scans) == [("a.png", "registered", "plate-001")]

    def test_new_numbers_continue_after_the_highest(self, dataset, scans):
        a, b = write_scans(scans, "a.png", "b.png")
        write_csv(scans / "plates.csv", {"plate": 435, "fileName": "a.png"})
        assert register(dataset, b, a) == [("b.png", "registered", "plate-436"), ("a.png", "registered", "plate-435")]

    def test_title_and_slug_come_from_the_name_and_the_source_keeps_it(self, dataset, scans):
        (scan,) = write_scans(scans, "unicode náme – plate №1.jpg")
        register(dataset, scan)
        manifest = dataset.plate("plate-001").manifest()
        assert manifest.title == "unicode náme – plate №1"
        assert manifest.slug == "unicode-name-plate-no1"
        assert manifest.source_image == "unicode náme – plate №1.jpg"
        assert manifest.registered_from == scan.name
        assert (manifest.plate_number, manifest.download_url, manifest.license) == (1, None, None)

    @pytest.mark.parametrize("name", ["new\nline.png", "back\\slash.png", ".hidden.png"])
    def test_an_unsafe_file_name_is_replaced(self, dataset, scans, name):
        register(dataset, *write_scans(scans, name))
        assert dataset.plate("plate-001").manifest().source_image == "plate-001.png"
        assert dataset.plate("plate-001").source_path().read_bytes() == (scans / name).read_bytes()

    def test_equal_bytes_are_one_plate(self, dataset, scans):
        a, b = (write_image(scans / name) for name in ("a.png", "b.png"))
        assert register(dataset, a, b) == [
            ("a.png", "registered", "plate-001"),
            ("b.png", "already_registered", "plate-001"),
        ]


class TestWithAnIndex:
    def test_identity_comes_from_data_json(self, dataset, scans):
        write_scans(scans, "plate-13-snow-bird.png")
        entry = {
            "plate": 13,
            "name": "Snow Bird",
            "slug": "snow-bird",
            "fileName": "plate-13-snow-bird.png",
            "download": "https://example.org/plate-13.jpg",
        }
        (scans / "data.json").write_text(json.dumps([entry]))
        assert register(dataset, scans) == [("plate-13-snow-bird.png", "registered", "plate-013")]
        manifest = dataset.plate("plate-013").manifest()
        assert (manifest.plate_number, manifest.title, manifest.slug) == (13, "Snow Bird", "snow-bird")
        assert manifest.download_url == "https://example.org/plate-13.jpg"

    @pytest.mark.parametrize("spelling", ["license", "licence", "Licence"])
    def test_identity_comes_from_plates_csv_which_may_state_a_licence(self, dataset, scans, spelling):
        write_scans(scans, "a.png")
        write_csv(scans / "plates.csv", {"fileName": "a.png", "plate": "0007", spelling: "CC0-1.0", "name": ""})
        assert register(dataset, scans) == [("a.png", "registered", "plate-007")]
        assert dataset.plate("plate-007").manifest().license == "CC0-1.0"
        assert dataset.plate("plate-007").manifest().title == "a"

    def test_a_plate_that_is_not_a_number_is_the_id(self, dataset, scans):
        write_scans(scans, "a.png")
        write_csv(scans / "plates.csv", {"plate": "koehler.allspice_1", "fileName": "a.png"})
        assert register(dataset, scans) == [("a.png", "registered", "koehler.allspice_1")]
        assert dataset.plate("koehler.allspice_1").manifest().plate_number is None

    def test_a_row_without_a_plate_takes_the_next_number(self, dataset, scans):
        write_scans(scans, "a.png", "b.png")
        write_csv(
            scans / "plates.csv",
            {"plate": "", "fileName": "a.png", "name": "First"},
            {"plate": 4, "fileName": "b.png", "name": "Second"},
        )
        assert register(dataset, scans) == [("a.png", "registered", "plate-005"), ("b.png", "registered", "plate-004")]
        assert dataset.plate("plate-005").manifest().title == "First"

    def test_a_file_added_on_its_own_uses_the_index_in_its_folder(self, dataset, scans):
        (a,) = write_scans(scans, "a.png")
        write_csv(scans / "plates.csv", {"plate": 9, "fileName": "a.png"})
        assert register(dataset, a) == [("a.png", "registered", "plate-009")]

    def test_an_index_names_scans_in_subfolders_by_name_or_relative_path(self, dataset, scans):
        write_scans(scans, "1-99/x.png", "1-99/y.png", "100-199/y.png")
        write_csv(
            scans / "plates.csv",
            {"plate": 1, "fileName": "x.png"},
            {"plate": 2, "fileName": "1-99/y.png"},
            {"plate": 3, "fileName": "./100-199/y.png"},
        )
        assert [plate for _, _, plate in register(dataset, scans)] == ["plate-001", "plate-002", "plate-003"]

    def test_composed_and_decomposed_accents_are_the_same_name(self, dataset, scans):
        write_scans(scans, "na\u0301me.png")
        write_csv(scans / "plates.csv", {"plate": 5, "fileName": "n\u00e1me.png"})
        assert [plate for _, _, plate in register(dataset, scans)] == ["plate-005"]

    def test_equal_bytes_may_be_two_plates_if_the_index_has_two_rows(self, dataset, scans):
        for name in ("a.png", "b.png"):
            write_image(scans / name)
        write_csv(scans / "plates.csv", {"plate": 1, "fileName": "a.png"}, {"plate": 2, "fileName": "b.png"})
        assert [plate for _, _, plate in register(dataset, scans)] == ["plate-001", "plate-002"]


class TestRefusedByIndex:
    @pytest.mark.parametrize("plate", ["../../etc", "Plate 1", "-1", "a/b", ".x", "9" * 70])
    def test_an_id_that_is_not_a_slug_refuses_only_its_scan(self, dataset, scans, plate):
        write_scans(scans, "a.png", "b.png")
        write_csv(scans / "plates.csv", {"plate": plate, "fileName": "a.png"}, {"plate": 1, "fileName": "b.png"})
        reason = refusal(dataset, scans)
        assert reason.startswith(f"plate id {plate!r} (line 2 of the index) is not a slug")
        assert dataset.plate_ids() == ["plate-001"]

    def test_two_rows_for_one_file(self, dataset, scans):
        write_scans(scans, "a.png", "b.png")
        write_csv(
            scans / "plates.csv",
            {"plate": 1, "fileName": "a.png"},
            {"plate": 2, "fileName": "b.png"},
            {"plate": 3, "fileName": "a.png"},
        )
        assert (
            refusal(dataset, scans)
            == "plates.csv has 2 rows for a.png (line 2 and line 4): expected one. Fix: remove the others"
        )

    def test_one_id_for_two_files_refuses_both(self, dataset, scans):
        write_scans(scans, "a.png", "b.png", "c.png")
        rows = [{"plate": 7, "fileName": "a.png"}, {"plate": "plate-007", "fileName": "b.png"}]
        (scans / "data.json").write_text(json.dumps(rows))
        a, b, c = register_scans(dataset, [scans])
        assert a.reason == b.reason
        assert a.reason == (
            "plate id plate-007 is claimed by a.png (entry 1) and b.png (entry 2) of data.json."
            " Fix: give each a different plate"
        )
        assert (c.status, c.plate_id) == ("registered", "plate-008")

    def test_one_row_for_scans_of_one_name_in_two_folders_refuses_both(self, dataset, scans):
        write_scans(scans, "x/a.png", "y/a.png")
        write_csv(scans / "plates.csv", {"plate": 1, "fileName": "a.png"})
        one, other = register_scans(dataset, [scans])
        assert one.reason == other.reason
        assert str(one.reason).startswith("line 2 of the index names a.png, but there are ")

    @pytest.mark.parametrize(
        ("name", "text", "complaint"),
        [
            ("data.json", "[{", "line 1: is not JSON"),
            ("data.json", "{}", "expected a list of objects, found dict"),
            ("data.json", "[7]", "entry 1: expected an object, found '7'"),
            ("data.json", '[{"plate": 1}]', "has no column with the files of the scans: expected one such as filename"),
            ("data.json", '[{"fileName": "a.png", "plate": 1.5}]', "entry 1: plate: expected a whole number or text"),
            ("plates.csv", "", "is empty: expected a header"),
            ("plates.csv", "fileName,artist,Artist\na.png,A,B\n", "column 'Artist' occurs twice"),
            (
                "plates.csv",
                "fileName,plate,plate_number\na.png,1,2\n",
                "columns 'plate' and 'plate_number' may both be the plate: expected one. Fix: remove one, or rename it",
            ),
            ("plates.csv", "fileName,plate\na.png,1,2\n", "line 2: expected 2 fields, found 3"),
            ("plates.csv", 'fileName,name\na.png,"x\n', "is not CSV"),
        ],
    )
    def test_a_malformed_index_is_named_and_its_scans_are_not_registered(self, dataset, scans, name, text, complaint):
        write_scans(scans, "bad/a.png", "bad/b.png", "good.png")
        (scans / "bad" / name).write_text(text)
        index, good = register_scans(dataset, [scans])
        assert (index.path, index.status) == (scans / "bad" / name, "refused")
        assert complaint in str(index.reason)
        assert (good.path.name, good.status) == ("good.png", "registered")
        assert dataset.plate_ids() == ["plate-001"]

    def test_two_indexes_in_one_folder(self, dataset, scans):
        write_scans(scans, "a.png")
        (scans / "data.json").write_text("[]")
        (scans / "plates.csv").write_text("fileName\n")
        assert refusal(dataset, scans).startswith("is in the same folder as data.json: expected one index")

    def test_an_index_given_as_a_scan(self, dataset, scans):
        (scans / "data.json").write_text("[]")
        assert refusal(dataset, scans / "data.json") == (
            "is an index, not a scan. Fix: add its folder, or name it with --index"
        )


class TestAgain:
    def test_adding_again_writes_nothing(self, dataset, scans):
        write_scans(scans, "a.png", "b.png")
        write_csv(scans / "plates.csv", {"plate": 3, "fileName": "b.png"})
        register(dataset, scans)
        before = {path: path.stat().st_mtime_ns for path in dataset.plates_dir.rglob("*") if path.is_file()}
        assert register(dataset, scans) == [
            ("a.png", "already_registered", "plate-004"),
            ("b.png", "already_registered", "plate-003"),
        ]
        after = {path: path.stat().st_mtime_ns for path in dataset.plates_dir.rglob("*") if path.is_file()}
        assert {p: t for p, t in after.items() if p.parent != dataset.plates_dir} == {
            p: t for p, t in before.items() if p.parent != dataset.plates_dir
        }

    def test_a_moved_scan_is_recognised_by_its_bytes(self, dataset, scans):
        (a,) = write_scans(scans, "a.png")
        register(dataset, a)
        moved = a.rename(scans / "moved.png")
        assert register(dataset, moved) == [("moved.png", "already_registered", "plate-001")]

    def test_changed_bytes_under_an_indexed_id_are_refused(self, dataset, scans):
        (a,) = write_scans(scans, "a.png")
        write_csv(scans / "plates.csv", {"plate": 3, "fileName": "a.png"})
        register(dataset, scans)
        registered = hashlib.sha256(a.read_bytes()).hexdigest()
        write_image(a, (200, 200, 200))
        reason = refusal(dataset, scans)
        assert reason.startswith(f"is plate plate-003: expected the registered sha256 {registered}, found ")
        assert "Fix: put the registered file back, or give the new scan another name and another id" in reason
        assert hashlib.sha256(dataset.plate("plate-003").source_path().read_bytes()).hexdigest() == registered

    def test_changed_bytes_at_a_registered_path_are_refused(self, dataset, scans):
        (a,) = write_scans(scans, "a.png")
        register(dataset, a)
        write_image(a, (200, 200, 200))
        assert refusal(dataset, a).startswith("is plate plate-001: expected the registered sha256 ")
        assert dataset.plate_ids() == ["plate-001"]

    def test_an_index_added_later_does_not_change_an_id(self, dataset, scans):
        (a,) = write_scans(scans, "a.png")
        register(dataset, a)
        write_csv(scans / "plates.csv", {"plate": 17, "fileName": "a.png"})
        assert refusal(dataset, a) == (
            "is registered as plate-001, but its index now names it plate-017. An id never changes. Fix: write"
            " plate plate-001 into line 2 of the index"
        )


@given(st.text())
def test_a_slug_of_any_text_is_empty_or_fits_a_plate_id(text):
    slug = slugify(text)
    assert slug == "" or re.fullmatch(PLATE_ID_PATTERN, slug[:64])


@given(st.integers(0, 10**18 - 1))
def test_a_number_is_found_again_from_its_id(number):
    assert number_of_id(numbered_id(number)) == number
