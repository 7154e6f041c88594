"""Where a plate is from: no path of a machine is kept, and a scan is still recognised where it was added from."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.made_scans import write_image

from atlas_resources.files.durable import write_json_atomically
from atlas_resources.ledgers.plates import build_plates
from atlas_resources.plates.contracts import Origin, PlateManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.corrections import update_plates
from atlas_resources.plates.intake.registration import Options, register_plan, register_scans
from atlas_resources.plates.intake.scan_plan import Plan, Scan, plan_scans
from atlas_resources.plates.intake.template import build_template
from atlas_resources.plates.json_files import DatasetBroken

URL = "https://images.example/a.png"
ORIGIN = Origin(
    url=URL,
    retrieved_at=datetime(2026, 11, 29, tzinfo=UTC),
    etag='"abc"',
    last_modified=None,
    expected_sha256=None,
    index="data.json",
    index_sha256="0" * 64,
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset = Dataset(tmp_path / "atlas")
    dataset.ensure()
    return dataset


def identity(dataset: Dataset, plate_id: str = "plate-001") -> PlateManifest:
    return dataset.plate(plate_id).identity()


def rewritten(dataset: Dataset, **fields: object) -> None:
    """plate-001's manifest with other fields; None leaves a field out."""
    path = dataset.plate("plate-001").manifest_path
    content = {**json.loads(path.read_bytes()), **fields}
    manifest = PlateManifest.model_validate_json(json.dumps({k: v for k, v in content.items() if v is not None}))
    path.unlink()
    write_json_atomically(path, manifest)


def test_a_staged_scan_has_its_path_in_the_staging_folder(dataset):
    scan = write_image(dataset.staging_dir / "birds" / "a.png")
    list(register_scans(dataset, [scan]))
    assert identity(dataset).registered_from == "birds/a.png"


def test_a_scan_of_a_folder_has_its_path_in_it_and_a_file_its_name(dataset, tmp_path):
    write_image(tmp_path / "scans" / "b" / "a.png")
    other = write_image(tmp_path / "c.png", (1, 2, 3))
    list(register_scans(dataset, [tmp_path / "scans", other]))
    assert [identity(dataset, plate_id).registered_from for plate_id in dataset.plate_ids()] == ["b/a.png", "c.png"]


def test_no_file_of_the_plate_has_the_machine_s_path(dataset, tmp_path):
    list(register_scans(dataset, [write_image(tmp_path / "scans" / "a.png"), tmp_path / "scans"]))
    for path in dataset.plate("plate-001").folder.rglob("*.json"):
        assert str(tmp_path) not in path.read_text()


def test_equal_names_of_other_folders_are_other_scans(dataset, tmp_path):
    """Without the folder, the second would be taken for a change of the first."""
    one = write_image(tmp_path / "one" / "IMG_0001.png", (1, 1, 1))
    other = write_image(tmp_path / "other" / "IMG_0001.png", (2, 2, 2))
    assert [r.plate_id for r in register_scans(dataset, [one, other])] == ["plate-001", "plate-002"]


def test_changed_bytes_at_a_staged_path_are_refused_though_the_dataset_moved(dataset, tmp_path):
    write_image(dataset.staging_dir / "a.png", (1, 1, 1))
    list(register_scans(dataset, [dataset.staging_dir]))
    moved = Dataset(tmp_path / "moved")
    shutil.move(dataset.root, moved.root)
    write_image(moved.staging_dir / "a.png", (2, 2, 2))
    (refused,) = register_scans(moved, [moved.staging_dir])
    assert str(refused.reason).startswith("is plate plate-001: expected the registered sha256 ")


def test_a_manifest_with_an_absolute_path_still_guards_it_and_the_ledger_shows_its_name(dataset, tmp_path):
    scan = write_image(tmp_path / "a.png", (1, 1, 1))
    list(register_scans(dataset, [scan]))
    rewritten(dataset, registered_from=str(scan), registered_path_sha256=None)
    assert build_plates(dataset).collect()["registered_from"].to_list() == ["a.png"]
    write_image(scan, (2, 2, 2))
    (refused,) = register_scans(dataset, [scan])
    assert str(refused.reason).startswith("is plate plate-001: expected the registered sha256 ")


def test_a_table_may_name_a_plate_by_the_absolute_path_of_its_scan(dataset, tmp_path):
    scan = write_image(tmp_path / "a.png")
    list(register_scans(dataset, [scan]))
    (tmp_path / "fix.csv").write_text(f"file,title\n{scan},Heron\n")
    assert [one.changed for one in update_plates(dataset, tmp_path / "fix.csv")[1]] == [("title", "slug")]


def test_sources_of_one_name_are_told_apart_in_an_exported_table_that_is_an_index_again(dataset, tmp_path):
    for number, folder in enumerate("ab"):
        write_image(tmp_path / "scans" / folder / "1.png", (number, 9, 9))
    list(register_scans(dataset, [tmp_path / "scans"]))
    table = tmp_path / "plates.csv"
    table.write_bytes(build_template(dataset).replace(b"plate-002,b/1.png,,2,1,", b"plate-002,b/1.png,,2,Heron,"))
    found = list(register_plan(dataset, plan_scans([tmp_path / "scans"], table), Options(is_correcting=True)))
    assert [(one.status, one.plate_id) for one in found] == [
        ("already_registered", "plate-001"),
        ("corrected", "plate-002"),
    ]


def test_the_origin_is_in_the_manifest_in_its_corrections_and_in_the_ledger(dataset, tmp_path):
    scan = write_image(dataset.staging_dir / ".pull" / "a.png")
    list(register_plan(dataset, Plan([Scan(scan, origin=ORIGIN)], [], []), Options()))
    (tmp_path / "fix.csv").write_text("plate_id,title\nplate-001,Heron\n")
    list(update_plates(dataset, tmp_path / "fix.csv")[1])
    for manifest in dataset.plate("plate-001").manifest_versions():
        assert manifest.origin == ORIGIN
        assert (manifest.registered_from, manifest.registered_path_sha256) == ("a.png", None)
    (row,) = build_plates(dataset).collect().iter_rows(named=True)
    assert {name: row[f"origin_{name}"] for name, _ in ORIGIN} == dict(ORIGIN)


def test_no_version_of_a_manifest_has_another_origin(dataset, tmp_path):
    list(register_plan(dataset, Plan([Scan(write_image(tmp_path / "a.png"), origin=ORIGIN)], [], []), Options()))
    (tmp_path / "fix.csv").write_text("plate_id,title\nplate-001,Heron\n")
    list(update_plates(dataset, tmp_path / "fix.csv")[1])
    rewritten(dataset, origin={**ORIGIN.model_dump(mode="json"), "url": "https://elsewhere.example/a.png"})
    with pytest.raises(DatasetBroken, match="origin: expected "):
        dataset.plate("plate-001").manifest()


def test_a_scan_without_origin_has_none_in_its_file_and_null_in_the_ledger(dataset, tmp_path):
    list(register_scans(dataset, [write_image(tmp_path / "a.png")]))
    assert "origin" not in json.loads(dataset.plate("plate-001").manifest_path.read_bytes())
    (row,) = build_plates(dataset).collect().iter_rows(named=True)
    assert {row[f"origin_{name}"] for name, _ in ORIGIN} == {None}
