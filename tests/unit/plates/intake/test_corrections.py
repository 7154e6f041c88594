"""Corrections of index data are new, dated versions of a manifest; the template reads back as it was written."""

import csv
import io
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made_scans import write_image
from support.rewritten import rewrite_json

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.corrections import Correction, update_plates
from atlas_resources.plates.intake.index.table import IndexBroken
from atlas_resources.plates.intake.registration import Options, register_plan, register_scans
from atlas_resources.plates.intake.scan_plan import plan_scans
from atlas_resources.plates.intake.template import build_template
from atlas_resources.plates.json_files import DatasetBroken


@pytest.fixture
def dataset(tmp_path):
    """Three plates: plate-001 and plate-002 with artist and year, koehler.1 without."""
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        write_image(tmp_path / "scans" / name, (number, 9, 9))
    (tmp_path / "scans" / "plates.csv").write_text(
        "file,plate,title,artist,year,licence\n"
        'a.png,1,"Heron, grey",Ada,1827,CC0\n'
        "b.png,2,Crane,Ben,c. 1830,\n"
        "c.png,koehler.1,,,,\n"
    )
    dataset = Dataset(tmp_path / "atlas")
    assert {one.status for one in register_scans(dataset, [tmp_path / "scans"])} == {"registered"}
    return dataset


def update(dataset: Dataset, text: str, *, is_dry: bool = False) -> list[Correction]:
    path = dataset.root.parent / "update.csv"
    path.write_text(text)
    return list(update_plates(dataset, path, is_dry)[1])


def files(dataset: Dataset) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in dataset.plates_dir.rglob("*.json")}


def test_a_correction_is_a_new_version_and_the_old_one_stays_readable(dataset):
    plate, before = dataset.plate("plate-001"), files(dataset)
    assert update(dataset, "plate_id,title,year\nplate-001,Snow Bird,1828\n") == [
        Correction("line 2", "plate-001", ("title", "slug", "year"))
    ]
    present = plate.manifest()
    assert (present.title, present.slug, present.extra) == ("Snow Bird", "snow-bird", {"artist": "Ada", "year": 1828})
    assert (present.license, present.manifest_version) == ("CC0", 2)
    assert present.updated_at is not None
    assert datetime.now(UTC) > present.updated_at > present.created_at
    assert [version.title for version in plate.manifest_versions()] == ["Heron, grey", "Snow Bird"]
    assert {path: content for path, content in files(dataset).items() if path in before} == before


def test_the_same_table_again_and_a_dry_run_write_nothing(dataset):
    text = "plate_id,title\nplate-001,Snow Bird\n"
    before = files(dataset)
    assert update(dataset, text, is_dry=True)[0].changed == ("title", "slug")
    assert files(dataset) == before
    update(dataset, text)
    after = files(dataset)
    assert update(dataset, text) == [Correction("line 2", "plate-001")]
    assert files(dataset) == after


def test_a_derived_slug_that_was_exported_before_a_title_was_corrected_is_not_put_back(dataset):
    text = "plate_id,title,slug\nplate-001,Snow Bird,heron-grey\n"
    assert [update(dataset, text)[0].changed for _ in range(3)] == [("title", "slug"), (), ()]
    assert dataset.plate("plate-001").manifest().slug == "snow-bird"
    assert update(dataset, 'plate_id,title,slug\nplate-001,"Heron, grey",heron-grey\n')[0].changed == ("title", "slug")
    assert dataset.plate("plate-001").manifest().slug == "heron-grey"


def test_identity_and_source_never_change(dataset):
    identity = dataset.plate("plate-001").identity()
    update(dataset, "plate_id,file,plate_number,title\nplate-001,b.png,77,Snow Bird\n")
    present = dataset.plate("plate-001").manifest()
    assert present.plate_number == 77
    for field in ("plate_id", "source_image", "source_page", "registered_from", "registered_path_sha256", "created_at"):
        assert getattr(present, field) == getattr(identity, field)


def test_an_absent_column_stays_an_empty_cell_removes_and_a_new_column_is_added(dataset):
    update(dataset, "plate_id,title,artist,medium,licence\nplate-001,,,engraving,\n")
    present = dataset.plate("plate-001").manifest()
    assert (present.title, present.license) == ("Heron, grey", None)
    assert present.extra == {"year": 1827, "medium": "engraving"}


def test_a_slug_that_was_given_is_not_derived_from_the_new_title(dataset):
    update(dataset, "plate_id,slug\nplate-001,my-own\n")
    update(dataset, "plate_id,title\nplate-001,Snow Bird\n")
    assert dataset.plate("plate-001").manifest().slug == "my-own"


@pytest.mark.parametrize(
    ("text", "where", "plate_id"),
    [
        ("plate,artist\n2,Cy\n", "line 2", "plate-002"),
        ("file,artist\nb.png,Cy\n", "line 2", "plate-002"),
        ("Datei,artist\nb.png,Cy\n", "line 2", "plate-002"),
    ],
)
def test_a_row_names_its_plate_by_number_or_by_file(dataset, text, where, plate_id):
    assert update(dataset, text) == [Correction(where, plate_id, ("artist",))]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("plate-009,x", "plate-009 is not registered. Fix: register its scan first: atlas plates add"),
        ("../x,x", "plate id '../x' (line 2 of the index) is not a slug"),
        (",x", "names no plate. Fix: write its plate id or its file"),
    ],
)
def test_a_row_that_names_no_plate_is_refused_alone(dataset, row, reason):
    refused, good = update(dataset, f"plate_id,artist\n{row}\nplate-002,Cy\n")
    assert str(refused.reason).startswith(reason)
    assert good.changed == ("artist",)


def test_two_rows_of_one_plate_are_both_refused(dataset):
    one, other = update(dataset, "plate_id,artist\nplate-001,x\nplate-001,y\n")
    assert one.reason == other.reason
    assert str(one.reason) == (
        "plate id plate-001 is claimed by line 2 and line 3 of update.csv. Fix: give each a different plate"
    )


def test_a_table_that_can_name_no_plate_is_refused_whole(dataset):
    with pytest.raises(IndexBroken, match="has no column with the files of the scans"):
        update(dataset, "title,artist\nx,y\n")


def test_the_template_has_every_plate_and_reads_back_without_a_change(dataset):
    template = build_template(dataset)
    assert template.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(template.decode("utf-8-sig"))))
    assert rows == [
        [
            "plate_id",
            "file",
            "source_page",
            "plate_number",
            "title",
            "slug",
            "download_url",
            "licence",
            "artist",
            "year",
        ],
        ["plate-001", "a.png", "", "1", "Heron, grey", "heron-grey", "", "CC0", "Ada", "1827"],
        ["plate-002", "b.png", "", "2", "Crane", "crane", "", "", "Ben", "c. 1830"],
        ["koehler.1", "c.png", "", "", "c", "c", "", "", "", ""],
    ]
    path = dataset.root.parent / "template.csv"
    path.write_bytes(template)
    assert [one.changed for one in update_plates(dataset, path)[1]] == [(), (), ()]


@settings(max_examples=30, deadline=None)
@given(
    keys=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).map(str.strip).filter(bool),
        max_size=4,
        unique_by=str.casefold,
    ),
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)
def test_any_further_column_survives_the_template(tmp_path_factory, keys, value):
    folder = tmp_path_factory.mktemp("made")
    scan = write_image(folder / "scan.png")
    dataset = Dataset(folder / "atlas")
    index = folder / "plates.csv"
    with index.open("w", newline="", encoding="utf-8") as file:
        named = [f"my {key}" for key in keys]
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["file", *named], ["scan.png", *[value] * len(named)]])
    (one,) = register_scans(dataset, [scan])
    assert one.status == "registered", one.reason
    template = folder / "template.csv"
    template.write_bytes(build_template(dataset))
    assert [one.changed for one in update_plates(dataset, template)[1]] == [()]


class TestByAdding:
    def register(self, dataset: Dataset, index: Path | None) -> list[tuple[str, tuple[str, ...]]]:
        plan = plan_scans([dataset.root.parent / "scans"], index)
        found = register_plan(dataset, plan, Options(is_correcting=index is not None))
        return [(one.status, one.differing) for one in found]

    def test_an_index_beside_the_scans_that_changed_is_said_and_changes_nothing(self, dataset):
        path, before = dataset.root.parent / "scans" / "plates.csv", files(dataset)
        path.write_text(path.read_text().replace("Crane", "Common crane"))
        assert self.register(dataset, None) == [
            ("already_registered", ()),
            ("already_registered", ("title", "slug")),
            ("already_registered", ()),
        ]
        assert files(dataset) == before

    def test_a_given_index_corrects_the_plates_that_are_registered(self, dataset):
        given = dataset.root.parent / "filled.csv"
        given.write_bytes(build_template(dataset).replace(b"Crane", b"Common crane"))
        assert self.register(dataset, given) == [
            ("already_registered", ()),
            ("corrected", ("title", "slug")),
            ("already_registered", ()),
        ]
        assert dataset.plate("plate-002").manifest().title == "Common crane"


class TestVersionsOnDisk:
    def test_a_version_of_another_plate_is_refused_and_names_the_file(self, dataset):
        update(dataset, "plate_id,title\nplate-001,Snow Bird\n")
        (path,) = dataset.plate("plate-001").manifest_version_paths()
        copy = dataset.plate("plate-002").folder / "manifests" / path.name
        copy.parent.mkdir()
        copy.write_bytes(path.read_bytes())
        with pytest.raises(DatasetBroken) as broken:
            dataset.plate("plate-002").manifest()
        assert str(broken.value).startswith(
            f"{copy}: plate_id: expected 'plate-002', as in manifest.json, found 'plate-001'"
        )
        assert "delete it: the version before it is then the present one" in str(broken.value)

    def test_a_broken_version_does_not_hide_the_source(self, dataset):
        update(dataset, "plate_id,title\nplate-001,Snow Bird\n")
        (path,) = dataset.plate("plate-001").manifest_version_paths()
        path.write_text("{")
        assert dataset.plate("plate-001").source_path().name == "a.png"
        with pytest.raises(DatasetBroken, match=path.name):
            dataset.plate("plate-001").manifest()

    def test_a_manifest_of_an_earlier_release_is_read(self, dataset):
        path = dataset.plate("plate-001").manifest_path
        younger = ("extra", "source_page", "manifest_version", "updated_at", "schema_version", "content_sha256")
        rewrite_json(path, *younger)
        manifest = dataset.plate("plate-001").manifest()
        assert (manifest.extra, manifest.source_page, manifest.manifest_version) == ({}, None, 1)


KILLED = """
import os, signal, sys
from pathlib import Path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.corrections import update_plates

def die(source, target):
    if "manifests" in str(target) and "plate-002" in str(target):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

replace, os.replace = os.replace, die
list(update_plates(Dataset(Path(sys.argv[1])), Path(sys.argv[2]))[1])
"""


def test_a_killed_update_leaves_whole_versions_and_the_next_completes_it(dataset):
    path = dataset.root.parent / "update.csv"
    path.write_text("plate_id,artist\nplate-001,Cy\nplate-002,Cy\n")
    killed = subprocess.run([sys.executable, "-c", KILLED, dataset.root, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    versions = [len(dataset.plate(plate_id).manifest_versions()) for plate_id in ("plate-001", "plate-002")]
    assert versions == [2, 1]
    assert [
        name for name in os.listdir(dataset.plate("plate-002").folder / "manifests") if not name.startswith(".")
    ] == []
    assert [one.changed for one in update_plates(dataset, path)[1]] == [(), ("artist",)]
