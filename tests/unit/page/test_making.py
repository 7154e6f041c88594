"""The page shows what SQL says, only writes what changed, and never shows what was withdrawn."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.fake_instruments import EMBEDDER, READER, SEGMENTER
from support.fake_regions import VECTORS
from support.licensed import license_plates
from support.made_datasets import make_dataset
from support.made_library import HOSTILE, OTHER_EMBEDDER, TEXT_READER, build, make_library
from support.made_results import measure_groundwork
from support.made_tags import judged, tagged
from support.made_withdrawals import withdrawn
from support.page_sql import differences, read_library, read_plate

from atlas_resources.catalogue.build import connect
from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.spec.spec import Licence
from atlas_resources.page.making import make_page
from atlas_resources.page.state import MARK, RECORD, why_behind
from atlas_resources.plates.dataset import Dataset

NOBODY = Licence(spdx="CC-BY-NC-4.0", commercial_use="no", source="made here")
KILLED = """
import os, signal, sys
from pathlib import Path
from atlas_resources.page.folder import files
from atlas_resources.page.making import make_page
from atlas_resources.plates.dataset import Dataset

left, replace = int(sys.argv[3]), os.replace

def killing(*paths):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)

files.os.replace = killing
make_page(Dataset(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def files_of(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if name not in (MARK, RECORD)}


def text_of(folder: Path) -> str:
    return "\n".join(content.decode() for name, content in files_of(folder).items() if name.startswith("data/"))


class TestWhatItShows:
    def test_every_number_is_in_the_rows_of_the_sql_beside_it(self, page, catalogue):
        assert differences(page, catalogue) == []

    def test_a_plate_has_every_section(self, page):
        detail = read_plate(page, "plate-003")
        assert [one.instrument for one in detail.segmentations] == [SEGMENTER]
        assert [one.instrument for one in detail.texts] == [TEXT_READER]
        assert [one.instrument for one in detail.probes] == [READER]
        assert [one.space for one in detail.neighbours] == [None, EMBEDDER, OTHER_EMBEDDER, "colour_histogram"]
        assert all(len(one.nearest) == 10 for one in detail.neighbours)
        assert len(detail.provenance) == 9
        assert detail.paper
        assert detail.colours

    def test_the_left_half_of_a_plate_is_a_rectangle_in_pixels_of_its_picture(self, page):
        """The fake segmenter's printed half: of a plate of 400 by 300, x from 0 to 200."""
        detail = read_plate(page, "plate-001")
        assert detail.picture
        assert (detail.picture.width_px, detail.picture.height_px) == (400, 300)
        (segment,) = detail.segmentations[0].segments
        assert (segment.x_min, segment.y_min, segment.x_max, segment.y_max) == (0, 0, 200, 300)
        numbers = [float(number) for number in re.findall(r"[\d.]+", segment.path)]
        assert (min(numbers[::2]), max(numbers[::2]), min(numbers[1::2]), max(numbers[1::2])) == (0, 200, 0, 300)

    def test_two_labels_of_one_name_are_told_apart_by_their_ids(self, page):
        (probe,) = read_plate(page, "plate-001").probes
        assert [score.label for score in probe.scores] == ["crane (n0000)", "crane (n0001)", "owl", "gull"]
        assert (probe.label_count, probe.calibration) == (4, "uncalibrated")

    def test_the_nearest_segments_are_those_of_other_plates_by_one_embedder(self, page):
        (segmentation,) = read_plate(page, "plate-001").segmentations
        assert segmentation.embedder == VECTORS
        near = segmentation.segments[0].nearest
        assert len(near) == 5
        assert len({one.plate for one in near} - {0}) == 5
        assert [one.cosine for one in near] == sorted((one.cosine for one in near), reverse=True)

    def test_words_that_were_read_are_found_by_the_plate(self, page):
        assert read_library(page).plates.printed_text[0].split("\n")[0] == "Snow Bunting"

    def test_hostile_text_can_end_no_script_and_arrives_whole(self, page):
        for path in (page / "data").rglob("*.js"):
            content = path.read_bytes()
            assert content.isascii()
            assert b"<" not in content
            assert content.count(b"\n") == 1
        assert read_plate(page, "plate-001").texts[0].texts[1].text == HOSTILE

    def test_nothing_names_a_folder_of_this_machine(self, page, library):
        text = text_of(page)
        assert str(library.root) not in text
        assert str(PROJECT_ROOT) not in text
        assert str(Path.home()) + "/" not in text

    def test_what_people_say_stands_beside_what_the_machine_says(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path, 5)
        build(dataset, registry)
        judged(dataset, {"plate_id": "plate-001", "text_id": "line-0001", "corrected": "Snow Bunding"})
        judged(dataset, {"plate_id": "plate-001", "segment_id": "mask-0001", "judgement": "accepted"})
        judged(dataset, {"plate_id": "plate-002", "text_id": "line-0001", "judgement": "rejected"})
        tagged(dataset, "plate-002", "torn")
        build(dataset, registry)
        folder = make_page(dataset).folder
        first = read_plate(folder, "plate-001")
        text = first.texts[0].texts[0]
        assert text.judgement
        assert text.text == "Snow Bunting"
        assert (text.judgement.corrected, text.judgement.person) == ("Snow Bunding", "A. Person")
        said = first.segmentations[0].segments[0].judgement
        assert said
        assert said.judgement == "accepted"
        library = read_library(folder)
        assert [(tag.tag, tag.plates, tag.people) for tag in library.tags] == [("torn", [1], ["A. Person"])]
        assert read_plate(folder, "plate-002").tags == ["torn"]
        assert "Snow Bunting" not in library.plates.printed_text[1]  # rejected
        with connect(dataset) as catalogue:
            assert differences(folder, catalogue) == []

    def test_a_mask_without_polygons_is_traced(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path, 2, has_polygons=False)
        build(dataset, registry)
        (segment,) = read_plate(make_page(dataset).folder, "plate-001").segmentations[0].segments
        # Marching squares cut each corner by half a pixel.
        assert set(re.findall(r"[\d.]+", segment.path)) == {"0", "0.5", "199.5", "200", "299.5", "300"}


class TestWhatItLeavesOut:
    def test_withdrawn_plates_and_runs_never_appear(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path, 5)
        withdrawn(dataset, "plate", "plate-002")
        withdrawn(dataset, "model", TEXT_READER)
        build(dataset, registry)
        folder = make_page(dataset).folder
        library = read_library(folder)
        assert library.plates.plate_id == ["plate-001", "plate-003", "plate-004", "plate-005"]
        assert library.notices == ["1 plate is withdrawn and not shown."]
        assert "plate-002" not in text_of(folder)
        assert "Snow Bunting" not in text_of(folder)
        assert TEXT_READER not in {one.key for one in library.instruments}

    def test_a_withdrawal_that_the_catalogue_does_not_know_refuses(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path, 2)
        build(dataset, registry)
        withdrawn(dataset, "plate", "plate-002")
        with pytest.raises(ValueError, match="Fix: atlas run @ledgers"):
            make_page(dataset)
        assert not dataset.page_dir.exists()

    def test_for_commercial_use_a_plate_needs_a_licence_and_a_model_its_terms(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path, 5)
        license_plates(dataset, "CC0", "plate-001", "plate-002", "plate-003", "plate-004")
        spec = registry.specs[OTHER_EMBEDDER].model_copy(update={"licence": NOBODY})
        registry.specs[OTHER_EMBEDDER] = spec
        registry.__dict__.pop("instruments", None)
        build(dataset, registry)
        folder = make_page(dataset, is_commercial=True).folder
        library = read_library(folder)
        assert library.plates.plate_id == ["plate-001", "plate-002", "plate-003", "plate-004"]
        assert [space.key for space in library.spaces] == [EMBEDDER, "colour_histogram"]
        assert OTHER_EMBEDDER not in {one.key for one in library.instruments}
        assert "plate-005" not in text_of(folder)
        assert library.plates.disagreement == [None] * 4  # of all encoders, one of which is left out
        assert library.notices[1:] == [
            "1 plate is left out: its index states no licence, and what is not stated is not for commercial use.",
            f"The results of {OTHER_EMBEDDER} on 4 plates are left out: its licence, CC-BY-NC-4.0, forbids commercial "
            "use, as its spec says now.",
        ]
        for plate_id in library.plates.plate_id:
            detail = read_plate(folder, plate_id)
            assert {one.instrument for one in detail.provenance}.isdisjoint({OTHER_EMBEDDER})
            assert [one.space for one in detail.neighbours] == [None, EMBEDDER, "colour_histogram"]
            assert all(near.votes <= 1 for one in detail.neighbours for near in one.nearest)

    def test_a_page_for_commercial_use_does_not_become_one_of_everything(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path / "data", 2)
        license_plates(dataset, "CC0")
        build(dataset, registry)
        make_page(dataset, tmp_path / "page", is_commercial=True)
        with pytest.raises(ValueError, match="Fix: add --commercial"):
            make_page(dataset, tmp_path / "page")
        assert make_page(dataset, tmp_path / "page", is_commercial=None).written_count == 0


class TestPlatesThatLackSomething:
    def test_a_plate_without_groundwork_or_readable_source_is_shown_with_what_there_is(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path, 3)
        plate = dataset.plate("plate-002")
        for path in (plate.folder / "derived").iterdir():
            path.unlink()
        plate.source_path().write_bytes(b"no image")
        build(dataset, registry)
        folder = make_page(dataset).folder
        library, detail = read_library(folder), read_plate(folder, "plate-002")
        assert (library.plates.thumbnail_width[1], library.plates.paper[1], detail.picture) == (0, None, None)
        assert any(notice.startswith("plate-002 has no picture: ") for notice in library.notices)
        assert "1 plate without a thumbnail: the groundwork makes it." in library.notices
        assert {one.state for one in library.failures if one.plate == 1}
        with connect(dataset) as catalogue:
            assert differences(folder, catalogue) == []

    def test_a_library_of_one_plate_has_no_neighbours(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path, 1)
        build(dataset, registry)
        folder = make_page(dataset).folder
        detail = read_plate(folder, "plate-001")
        assert all(near.nearest == [] for near in detail.neighbours)
        assert detail.segmentations[0].segments[0].nearest == []
        with connect(dataset) as catalogue:
            assert differences(folder, catalogue) == []

    def test_a_plate_without_a_result_is_shown(self, tmp_path, fakes):
        _, registry = make_library(tmp_path / "other", 1)
        dataset = make_dataset(tmp_path / "bare", "red")
        build(dataset, registry)
        folder = make_page(dataset).folder
        detail = read_plate(folder, "plate-001")
        assert (detail.segmentations, detail.neighbours, detail.provenance, detail.colours) == ([], [], [], [])
        assert detail.picture  # its size is not measured, and that of its picture is read

    def test_without_a_plate_it_says_what_to_do(self, tmp_path, fakes):
        dataset = Dataset(tmp_path)
        dataset.ensure()
        build(dataset, make_library(tmp_path / "other", 1)[1])
        with pytest.raises(ValueError, match=r"no plate to show\. Fix: atlas plates add PATH"):
            make_page(dataset)
        assert not dataset.page_dir.exists()

    def test_without_a_catalogue_it_says_what_to_do(self, dataset):
        with pytest.raises(FileNotFoundError, match="Build it: atlas run"):
            make_page(dataset)


class TestTheFolder:
    def test_a_second_page_writes_nothing(self, library, tmp_path):
        first = make_page(library, tmp_path / "page")
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "page").rglob("*")}
        again = make_page(library, tmp_path / "page")
        assert (first.picture_count, again.picture_count, again.written_count, again.removed_count) == (12, 0, 0, 0)
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "page").rglob("*")} == before

    def test_files_of_plates_that_are_gone_are_removed_and_a_persons_own_stay(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path, 3)
        build(dataset, registry)
        folder = make_page(dataset).folder
        own = folder / "CNAME"
        own.write_text("plates.example.org")
        (folder / "pictures" / "stale.jpg").write_bytes(b"of an earlier page")
        withdrawn(dataset, "plate", "plate-002")
        build(dataset, registry)
        again = make_page(dataset)
        assert again.removed_count == 3  # the plate's data and picture, and the stale one
        assert sorted(path.name for path in (folder / "data" / "plates").iterdir()) == ["plate-001.js", "plate-003.js"]
        assert len(list((folder / "pictures").iterdir())) == 2
        assert own.is_file()

    @pytest.mark.parametrize("name", ["notes.txt", "index.html"])
    def test_a_folder_of_somebody_else_is_refused_and_stays_as_it_is(self, library, tmp_path, name):
        (tmp_path / name).write_text("mine")
        with pytest.raises(ValueError, match=r"expected an empty folder or a page of Atlas.*--to"):
            make_page(library, tmp_path)
        assert files_of(tmp_path) == {name: b"mine"}

    def test_a_folder_in_the_dataset_and_one_that_leads_elsewhere_are_refused(self, library, tmp_path):
        with pytest.raises(ValueError, match="outside the dataset"):
            make_page(library, library.plates_dir)
        make_page(library, tmp_path / "page")
        elsewhere = tmp_path / "elsewhere"
        (tmp_path / "page" / "pictures").rename(elsewhere)
        (tmp_path / "page" / "pictures").symlink_to(elsewhere)
        with pytest.raises(ValueError, match="expected a folder of the page, found a link"):
            make_page(library, tmp_path / "page")

    @pytest.mark.parametrize("writes", [0, 11, 20, 29])
    def test_a_killed_page_is_completed_by_the_next(self, library, page, tmp_path, writes):
        """Of 31 files: twelve pictures, a sheet, twelve plates, four that draw the page, the library and the record."""
        folder = tmp_path / "page"
        command = [sys.executable, "-c", KILLED, str(library.root), str(folder), str(writes)]
        assert subprocess.run(command, cwd=PROJECT_ROOT, check=False).returncode == -9
        has_index = (folder / "index.html").is_file()
        assert not has_index or read_library(folder).plates.plate_id == library.plate_ids()
        make_page(library, folder)
        assert without_time(files_of(folder)) == without_time(files_of(page))

    def test_a_page_that_is_killed_while_plates_go_says_so_until_it_is_made(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path / "data", 3)
        build(dataset, registry)
        folder = make_page(dataset, tmp_path / "page").folder
        withdrawn(dataset, "plate", "plate-001")
        build(dataset, registry)
        command = [sys.executable, "-c", KILLED, str(dataset.root), str(folder), "2"]
        assert subprocess.run(command, cwd=PROJECT_ROOT, check=False).returncode == -9
        assert b"being written" in (folder / "index.html").read_bytes()
        make_page(dataset, folder)
        assert b"being written" not in (folder / "index.html").read_bytes()
        assert read_library(folder).plates.plate_id == ["plate-002", "plate-003"]

    def test_the_page_is_behind_once_the_catalogue_is_built_again_or_it_is_not_whole(self, tmp_path, fakes):
        dataset, registry = make_library(tmp_path, 1)
        build(dataset, registry)
        assert why_behind(dataset) == ""
        make_page(dataset)
        assert why_behind(dataset) == ""
        tagged(dataset, "plate-001", "torn")
        build(dataset, registry)
        assert why_behind(dataset) == "the catalogue was built since"
        (dataset.page_dir / RECORD).unlink()
        assert why_behind(dataset) == "it is not written to its end"

    def test_a_title_stays_until_another_is_given(self, library, tmp_path):
        make_page(library, tmp_path / "page", title="Birds <of> America")
        assert read_library(make_page(library, tmp_path / "page").folder).title == "Birds <of> America"


def without_time(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files without the time that the page was made at."""
    return {name: re.sub(rb'"made_at":"[^"]*"', b"", content) for name, content in files.items()}


def test_groundwork_alone_gives_a_page_by_colour(tmp_path, fakes):
    _, registry = make_library(tmp_path / "other", 1)
    dataset = make_dataset(tmp_path / "plain", "red", "green", "blue")
    measure_groundwork(dataset)
    build(dataset, registry)
    library = read_library(make_page(dataset).folder)
    assert [(space.key, space.kind) for space in library.spaces] == [("colour_histogram", "colour")]
    assert all(size > 0 for size in library.plates.thumbnail_width)
