"""`--pages`: every page of a TIFF becomes a plate of its own, with the whole file as its source."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.made_scans import write_image

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import MAX_PIXELS, decode_source
from atlas_resources.plates.intake.corrections import update_plates
from atlas_resources.plates.intake.registration import Options, Registration, register_plan
from atlas_resources.plates.intake.scan_plan import plan_scans
from atlas_resources.plates.intake.template import build_template
from atlas_resources.plates.refused_scans import read_refused_scans

COLOURS = [(200, 10, 10), (10, 200, 10), (10, 10, 200)]


def write_pages(path: Path, *colours: tuple[int, int, int], reduced: tuple[int, ...] = ()) -> Path:
    """A TIFF with a flat page of each colour; those numbered in `reduced` are marked as smaller copies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as writer:
        for number, colour in enumerate(colours, start=1):
            pixels = np.full((4, 6, 3), colour, np.uint8)
            kind = 1 if number in reduced else 0  # NewSubfileType, TIFF 6.0, section 8
            writer.write(pixels, photometric="rgb", compression="zlib", subfiletype=kind, metadata=None)
    return path


@pytest.fixture
def dataset(tmp_path):
    return Dataset(tmp_path / "atlas")


def register(dataset: Dataset, *paths: Path, has_pages: bool = True) -> list[Registration]:
    return list(register_plan(dataset, plan_scans(list(paths)), Options(has_pages=has_pages)))


def outcomes(found: list[Registration]) -> list[tuple[str | None, int | None, str]]:
    return [(one.plate_id, one.page, one.status) for one in found]


def test_each_page_is_a_plate_with_the_pixels_of_its_page(dataset, tmp_path):
    scan = write_pages(tmp_path / "album.tif", *COLOURS)
    assert outcomes(register(dataset, scan)) == [
        ("plate-001", None, "registered"),
        ("plate-002", 2, "registered"),
        ("plate-003", 3, "registered"),
    ]
    plates = dataset.plates()
    assert [plate.manifest().source_page for plate in plates] == [None, 2, 3]
    assert [plate.manifest().title for plate in plates] == ["album", "album, page 2", "album, page 3"]
    assert [decode_source(plate).image.getpixel((0, 0)) for plate in plates] == COLOURS
    assert {plate.source_path().read_bytes() for plate in plates} == {scan.read_bytes()}


def test_without_it_the_first_page_is_registered_and_the_others_are_counted(dataset, tmp_path):
    (one,) = register(dataset, write_pages(tmp_path / "album.tif", *COLOURS), has_pages=False)
    assert one.note == "has 3 pages, and this is the first. To register all: --pages"
    assert dataset.plate("plate-001").manifest().source_page is None


def test_a_file_of_one_page_has_no_note(dataset, tmp_path):
    (tif, png) = register(dataset, write_image(tmp_path / "a.tif"), write_image(tmp_path / "b.png", (9, 9, 9)))
    assert (tif.note, png.note) == ("", "")


def test_pages_can_be_added_later_and_adding_them_again_changes_nothing(dataset, tmp_path):
    scan = write_pages(tmp_path / "album.tif", *COLOURS[:2])
    register(dataset, scan, has_pages=False)
    assert outcomes(register(dataset, scan)) == [
        ("plate-001", None, "already_registered"),
        ("plate-002", 2, "registered"),
    ]
    assert [status for _, _, status in outcomes(register(dataset, scan))] == ["already_registered"] * 2


def test_pages_follow_the_row_of_their_file_or_a_row_of_their_own(dataset, tmp_path):
    write_pages(tmp_path / "scans" / "album.tif", *COLOURS)
    rows = [
        {"file": "album.tif", "plate": 13, "title": "Heron", "artist": "Ada"},
        {"file": "album.tif", "source_page": 3, "plate": 40, "title": "Crane"},
    ]
    (tmp_path / "scans" / "plates.json").write_text(json.dumps(rows))
    assert outcomes(register(dataset, tmp_path / "scans")) == [
        ("plate-013", None, "registered"),
        ("plate-013-page-2", 2, "registered"),
        ("plate-040", 3, "registered"),
    ]
    second, third = (dataset.plate(plate_id).manifest() for plate_id in ("plate-013-page-2", "plate-040"))
    assert (second.title, second.extra, second.plate_number) == ("Heron, page 2", {"artist": "Ada"}, None)
    assert (third.title, third.extra, third.plate_number) == ("Crane", {}, 40)


def test_smaller_copies_of_a_page_are_no_plates(dataset, tmp_path):
    scan = write_pages(tmp_path / "pyramid.tif", *COLOURS, reduced=(2,))
    assert outcomes(register(dataset, scan)) == [("plate-001", None, "registered"), ("plate-002", 3, "registered")]


def test_a_damaged_page_is_refused_alone_by_its_number(dataset, tmp_path):
    scan = write_pages(tmp_path / "album.tif", *COLOURS)
    with tifffile.TiffFile(scan) as file:
        strip = file.pages[1].dataoffsets[0]
    data = bytearray(scan.read_bytes())
    data[strip : strip + 4] = b"\0\0\0\0"
    scan.write_bytes(bytes(data))
    found = register(dataset, scan)
    assert [(one.page, one.status) for one in found] == [(None, "registered"), (2, "refused"), (3, "registered")]
    assert str(found[1].reason).startswith("page 2 is a truncated or damaged TIFF")
    assert [scan.path for scan in read_refused_scans(dataset)] == [str(tmp_path / "album.tif")]


def test_more_pages_than_are_counted_are_no_reason_to_refuse_the_first(dataset, tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for _ in range(1001):
            writer.write(np.zeros((1, 1), np.uint8), photometric="minisblack", metadata=None)
    (one,) = register(dataset, tmp_path / "a.tif", has_pages=False)
    assert (one.status, one.note) == (
        "registered",
        "is a TIFF whose pages cannot be counted: it has more than 1000 pages."
        " Fix: export the scan again, as files of at most 1000 pages",
    )
    (refused,) = register(Dataset(tmp_path / "other"), tmp_path / "a.tif")
    assert (refused.status, refused.reason) == ("refused", one.note)


def test_the_limit_on_pixels_holds_for_every_page(dataset, tmp_path):
    scan = write_pages(tmp_path / "album.tif", *COLOURS[:2])
    (first, second) = register_plan(dataset, plan_scans([scan]), Options(max_pixels=MAX_PIXELS, has_pages=True))
    assert (first.status, second.status) == ("registered", "registered")
    with Image.open(scan) as image:
        assert image.size == (6, 4)
    (refused,) = register_plan(Dataset(tmp_path / "other"), plan_scans([scan]), Options(max_pixels=23, has_pages=True))
    assert refused.reason == "has 24 pixels (6 x 4); the limit is 23. Fix: save it at a lower resolution, or in parts"


def test_the_template_names_pages_and_reads_back_without_a_change(dataset, tmp_path):
    register(dataset, write_pages(tmp_path / "album.tif", *COLOURS))
    path = tmp_path / "template.csv"
    path.write_bytes(build_template(dataset))
    assert [one.changed for one in update_plates(dataset, path)[1]] == [(), (), ()]
    given = plan_scans([tmp_path / "album.tif"], path)
    found = list(register_plan(dataset, given, Options(is_correcting=True, has_pages=True)))
    assert outcomes(found) == [
        ("plate-001", None, "already_registered"),
        ("plate-002", 2, "already_registered"),
        ("plate-003", 3, "already_registered"),
    ]
