"""A refused, failed or killed registration leaves nothing behind, and no source is ever written to."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.made_scans import write_image

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake import registration
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.json_files import DatasetBroken


@pytest.fixture
def dataset(tmp_path):
    return Dataset(tmp_path / "atlas")


def plates_on_disk(dataset: Dataset) -> list[str]:
    """All names in plates_structured/, except the lock file that registrations share."""
    return sorted(path.name for path in dataset.plates_dir.iterdir() if path.name != ".registration.lock")


def test_a_plate_has_its_bytes_digest_and_manifest(dataset, tmp_path):
    scan = write_image(tmp_path / "a.png")
    list(register_scans(dataset, [scan]))
    folder = dataset.plate("plate-001").folder
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == ["manifest.json", "source.sha256", "source/a.png"]
    assert (folder / "source" / "a.png").read_bytes() == scan.read_bytes()
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "source.sha256"], cwd=folder, check=True)


def test_the_scan_is_not_altered_and_the_source_is_read_only(dataset, tmp_path):
    scan = write_image(tmp_path / "a.png")
    before = (scan.read_bytes(), scan.stat().st_mtime_ns, scan.stat().st_mode)
    list(register_scans(dataset, [scan]))
    assert (scan.read_bytes(), scan.stat().st_mtime_ns, scan.stat().st_mode) == before
    assert dataset.plate("plate-001").source_path().stat().st_mode & 0o777 == 0o444


def test_refused_scans_do_not_affect_the_others(dataset, tmp_path):
    good, also_good = write_image(tmp_path / "a.png"), write_image(tmp_path / "b.jpg", (200, 1, 1))
    truncated, empty, text = tmp_path / "t.jpg", tmp_path / "e.jpg", tmp_path / "x.jpg"
    truncated.write_bytes(also_good.read_bytes()[:-5])
    empty.touch()
    text.write_text("no image")
    found = list(register_scans(dataset, [good, truncated, empty, tmp_path / "missing.png", text, also_good]))
    assert [(r.path.name, r.status, r.plate_id) for r in found] == [
        ("a.png", "registered", "plate-001"),
        ("t.jpg", "refused", None),
        ("e.jpg", "refused", None),
        ("missing.png", "refused", None),
        ("x.jpg", "refused", None),
        ("b.jpg", "registered", "plate-002"),
    ]
    assert [str(r.reason).split(":")[0] for r in found[1:5]] == [
        "is a truncated or damaged JPEG",
        "is empty (0 bytes). Fix",
        "does not exist",
        "is not an image that can be read; accepted are JPEG, PNG, TIFF, WebP. Fix",
    ]
    assert plates_on_disk(dataset) == ["plate-001", "plate-002"]


def test_more_pixels_than_the_limit_are_refused(dataset, tmp_path):
    (refused,) = register_scans(dataset, [write_image(tmp_path / "a.png", size=(40, 30))], max_pixels=1199)
    assert (
        refused.reason
        == "has 1,200 pixels (40 x 30); the limit is 1,199. Fix: save it at a lower resolution, or in parts"
    )


def test_a_rename_that_fails_leaves_nothing(dataset, tmp_path, monkeypatch):
    def fail(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    scan = write_image(tmp_path / "a.png")
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        (refused,) = register_scans(dataset, [scan])
    assert refused.reason == "cannot be stored as plate-001: No space left on device"
    assert plates_on_disk(dataset) == []
    assert [r.status for r in register_scans(dataset, [scan])] == ["registered"]


def test_an_id_that_another_registration_took_meanwhile_is_refused(dataset, tmp_path):
    scans = [write_image(tmp_path / f"{n}.png", (n, n, n)) for n in range(2)]
    registering = register_scans(dataset, scans)
    assert next(registering).plate_id == "plate-001"
    taken = dataset.plate("plate-002").folder
    taken.mkdir()
    (taken / "manifest.json").write_text("{}")
    refused = next(registering)
    assert refused.status == "refused"
    assert str(refused.reason).startswith(f"{taken} exists already, from another registration or made by hand. Fix: ")
    assert list(registering) == []
    assert (taken / "manifest.json").read_text() == "{}"


def test_what_another_registration_placed_meanwhile_is_registered_already(dataset, tmp_path):
    scans = [write_image(tmp_path / f"{n}.png", (n, n, n)) for n in range(3)]
    first, second = register_scans(dataset, scans), register_scans(dataset, scans)
    found = [
        (one.status, one.plate_id) for turn in (first, second, second, first, first, second) for one in [next(turn)]
    ]
    assert found == [
        ("registered", "plate-001"),
        ("already_registered", "plate-001"),
        ("registered", "plate-002"),
        ("already_registered", "plate-002"),
        ("registered", "plate-003"),
        ("already_registered", "plate-003"),
    ]
    assert [*first, *second] == []
    assert plates_on_disk(dataset) == ["plate-001", "plate-002", "plate-003"]


def test_a_plate_placed_while_the_known_plates_are_read_is_not_registered_again(dataset, tmp_path, monkeypatch):
    scan = write_image(tmp_path / "a.png")
    plate_ids = Dataset.plate_ids

    def list_then_register(asked: Dataset) -> list[str]:
        found = plate_ids(asked)
        with monkeypatch.context() as patch:
            patch.setattr(Dataset, "plate_ids", plate_ids)
            list(register_scans(asked, [scan]))
        return found

    monkeypatch.setattr(Dataset, "plate_ids", list_then_register)
    assert [(r.status, r.plate_id) for r in register_scans(dataset, [scan])] == [("already_registered", "plate-001")]
    assert plates_on_disk(dataset) == ["plate-001"]


def test_the_number_of_a_folder_that_is_not_a_plate_is_not_used(dataset, tmp_path):
    dataset.ensure()
    (dataset.plate("plate-001").folder / "notes").mkdir(parents=True)
    (found,) = register_scans(dataset, [write_image(tmp_path / "a.png")])
    assert found.plate_id == "plate-002"


def test_a_scan_that_changes_while_it_is_registered_is_refused(dataset, tmp_path, monkeypatch):
    scan = write_image(tmp_path / "a.png")
    validate = registration.require_decodable

    def validate_then_change(path: Path, max_pixels: int) -> str:
        sha256 = validate(path, max_pixels)
        path.write_bytes(b"other bytes")
        return sha256

    monkeypatch.setattr(registration, "require_decodable", validate_then_change)
    (refused,) = register_scans(dataset, [scan])
    assert refused.reason == "changed while it was being registered. Fix: add it again when it is complete"
    assert plates_on_disk(dataset) == []


def test_abandoning_keeps_what_is_registered_and_leaves_no_threads(dataset, tmp_path):
    scans = [write_image(tmp_path / f"{n:02}.png", (n, n, n)) for n in range(20)]
    registering = register_scans(dataset, scans)
    assert next(registering).plate_id == "plate-001"
    del registering
    assert plates_on_disk(dataset) == ["plate-001"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_a_broken_manifest_stops_registration_before_it_begins(dataset, tmp_path):
    dataset.ensure()
    dataset.plate("plate-001").folder.mkdir()
    dataset.plate("plate-001").manifest_path.write_text("{}")
    with pytest.raises(DatasetBroken, match=r"plate-001/manifest.json.*Fix: restore it"):
        list(register_scans(dataset, [write_image(tmp_path / "a.png")]))


KILLED = """
import os, signal, sys
from pathlib import Path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans

def die(source, target):
    if target.name == "plate-002":
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target)

rename, os.rename = os.rename, die
list(register_scans(Dataset(Path(sys.argv[1])), [Path(sys.argv[2])]))
"""


def test_a_killed_registration_is_whole_or_absent_and_removed_by_the_next(dataset, tmp_path):
    for n in range(3):
        write_image(tmp_path / "scans" / f"{n}.png", (n, n, n))
    killed = subprocess.run([sys.executable, "-c", KILLED, dataset.root, tmp_path / "scans"], check=False)
    assert killed.returncode == -signal.SIGKILL
    leftover = [name for name in plates_on_disk(dataset) if name.startswith(".incoming-")]
    assert len(leftover) == 1
    assert dataset.plate_ids() == ["plate-001"]
    found = list(register_scans(dataset, [tmp_path / "scans"]))
    assert [r.status for r in found] == ["already_registered", "registered", "registered"]
    assert plates_on_disk(dataset) == ["plate-001", "plate-002", "plate-003"]


def test_the_folder_of_a_live_registration_is_left_alone(dataset, tmp_path):
    scans = [write_image(tmp_path / f"{n}.png", (n, n, n)) for n in range(2)]
    registering = register_scans(dataset, scans)
    next(registering)
    (live,) = dataset.plates_dir.glob(".incoming-*")
    assert [r.status for r in register_scans(dataset, [scans[0]])] == ["already_registered"]
    assert live.is_dir()
    assert [r.plate_id for r in registering] == ["plate-002"]
    assert plates_on_disk(dataset) == ["plate-001", "plate-002"]
