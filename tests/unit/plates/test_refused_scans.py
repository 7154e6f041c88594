"""`refused_scans.json` lists what is refused until it is registered or gone, whoever registers."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from support.made_scans import write_image

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import Options, register_plan, register_scans
from atlas_resources.plates.intake.scan_plan import plan_scans
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.refused_scans import read_refused_scans, refused_scans_path


@pytest.fixture
def dataset(tmp_path):
    dataset = Dataset(tmp_path / "atlas")
    dataset.ensure()
    return dataset


def listed(dataset: Dataset, *paths: Path) -> list[str]:
    list(register_scans(dataset, list(paths)))
    return [scan.path for scan in read_refused_scans(dataset)]


def test_a_staged_scan_is_named_from_the_root_and_any_other_absolutely(dataset, tmp_path):
    (dataset.staging_dir / "birds").mkdir()
    for path in (dataset.staging_dir / "birds" / "torn.tif", tmp_path / "x.png"):
        path.write_bytes(b"torn")
    assert listed(dataset, dataset.staging_dir, tmp_path / "x.png") == [
        str(tmp_path / "x.png"),
        "plates/birds/torn.tif",
    ]


@pytest.mark.parametrize("name", ["nothing.jpg", "nosuchfolder/x.jpg", "a.png/x.jpg"])
def test_a_path_that_does_not_exist_is_refused_and_not_listed(dataset, tmp_path, name):
    write_image(tmp_path / "a.png")
    found = list(register_scans(dataset, [tmp_path / name]))
    assert [(one.path, one.reason) for one in found] == [(tmp_path / name, "does not exist")]
    assert not refused_scans_path(dataset).exists()


def test_without_a_refusal_there_is_no_file(dataset, tmp_path):
    assert listed(dataset, write_image(tmp_path / "a.png")) == []
    assert not refused_scans_path(dataset).exists()


def test_a_scan_stays_listed_until_it_is_registered(dataset, tmp_path):
    bad, good = tmp_path / "a.png", write_image(tmp_path / "b.png")
    bad.write_bytes(b"torn")
    assert listed(dataset, bad) == [str(bad)]
    assert listed(dataset, good) == [str(bad)]
    write_image(bad, (1, 2, 3))
    assert listed(dataset, bad) == []
    assert json.loads(refused_scans_path(dataset).read_text())["refused_scans"] == []


def test_a_scan_that_is_gone_is_removed_by_the_next_registration(dataset, tmp_path):
    bad = tmp_path / "a.png"
    bad.write_bytes(b"torn")
    assert listed(dataset, bad) == [str(bad)]
    bad.unlink()
    assert listed(dataset, write_image(tmp_path / "b.png")) == []


def test_the_first_refusal_is_dated_and_so_is_the_last(dataset, tmp_path):
    bad = tmp_path / "a.png"
    bad.write_bytes(b"torn")
    listed(dataset, bad)
    (first,) = read_refused_scans(dataset)
    listed(dataset, bad)
    (again,) = read_refused_scans(dataset)
    assert first.first_refused_at == first.last_refused_at == again.first_refused_at
    assert timedelta(0) < again.last_refused_at - again.first_refused_at < timedelta(minutes=1)


def test_the_fix_is_apart_from_the_reason(dataset, tmp_path):
    folder = tmp_path / "scans"
    write_image(folder / "a.png")
    (folder / "plates.csv").write_text("file,plate\na.png,Plate 1\n")
    assert listed(dataset, folder) == [str(folder / "a.png")]
    (refused,) = read_refused_scans(dataset)
    assert refused.reason.startswith("plate id 'Plate 1' (line 2 of the index) is not a slug")
    assert not refused.reason.endswith(".")
    assert refused.fix == "correct that row, or rename its column to keep it as a further column"


def test_an_unreadable_index_is_listed_until_it_is_read(dataset, tmp_path):
    folder = tmp_path / "scans"
    write_image(folder / "a.png")
    (folder / "data.json").write_text("[{")
    assert listed(dataset, folder) == [str(folder / "data.json")]
    (folder / "data.json").write_text("[]")
    assert listed(dataset, folder) == []


def test_a_registration_that_is_abandoned_records_what_it_tried(dataset, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"torn")
    registering = register_scans(dataset, [tmp_path / "a.png", tmp_path / "b.png"])
    next(registering)
    registering.close()
    assert [scan.path for scan in read_refused_scans(dataset)] == [str(tmp_path / "a.png")]


def test_a_dry_run_records_and_makes_nothing(tmp_path):
    (tmp_path / "a.png").write_bytes(b"torn")
    dataset = Dataset(tmp_path / "none")
    scans = [tmp_path / "a.png", write_image(tmp_path / "b.png")]
    found = list(register_plan(dataset, plan_scans(scans), Options(is_dry=True)))
    assert [(one.status, one.plate_id) for one in found] == [("refused", None), ("registered", "plate-001")]
    assert not dataset.root.exists()


def test_a_broken_list_stops_registration_before_it_begins(dataset, tmp_path):
    refused_scans_path(dataset).write_text("{}")
    with pytest.raises(DatasetBroken, match=r"refused_scans.json: is not a valid RefusedScans.* Fix: delete it and"):
        list(register_scans(dataset, [write_image(tmp_path / "a.png")]))
    assert dataset.plate_ids() == []


def test_a_folder_that_cannot_be_listed_is_refused_by_name(dataset, tmp_path, monkeypatch):
    folder = tmp_path / "scans"
    write_image(folder / "open" / "a.png")
    (folder / "shut").mkdir()
    iterdir = Path.iterdir

    def refuse(path: Path):
        if path.name == "shut":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert listed(dataset, folder) == [str(folder / "shut")]
    assert dataset.plate_ids() == ["plate-001"]
