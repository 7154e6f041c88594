"""Comparing states: copies are the same; plates, runs, instruments and records that differ are named."""

import shutil

import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import draw_scan
from support.made_results import GivenVectors, measure
from support.verified import VECTORS, make_verified

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.snapshots import states
from atlas_resources.snapshots.differences import InstrumentChange, RunChange, compare
from atlas_resources.snapshots.files import SnapshotUnknown, read_snapshot
from atlas_resources.snapshots.states import read_state


@pytest.fixture
def verified(tmp_path, fakes):
    return make_verified(tmp_path)


def differences(dataset, registry, before: str, after: str):
    return compare(read_state(dataset, registry, before), read_state(dataset, registry, after))


def test_an_untouched_library_and_a_copy_are_the_same(verified, tmp_path):
    dataset, registry = verified
    shutil.copytree(dataset.root, tmp_path / "copy")
    assert differences(dataset, registry, "first", "now").is_empty
    assert differences(dataset, registry, "now", str(tmp_path / "copy")).is_empty


def test_of_equal_plates_no_run_is_read(verified, tmp_path, monkeypatch):
    dataset, registry = verified
    shutil.copytree(dataset.root, tmp_path / "copy")
    asked = []
    monkeypatch.setattr(states, "current_runs", lambda dataset, identities, names, plate_ids: asked.extend(plate_ids))
    read_now, read_copy = (read_state(dataset, registry, which) for which in ("now", str(tmp_path / "copy")))
    monkeypatch.setattr(states, "current_runs", lambda dataset, identities, names, ids: asked.extend(ids) or {})
    assert compare(read_now, read_copy).is_empty
    assert asked == []


def test_a_new_run_a_correction_a_new_plate_and_a_report_are_named(verified, tmp_path):
    dataset, registry = verified
    before = read_snapshot(dataset, "first").plates[0].runs[EMBEDDER]
    measure(dataset, registry, EMBEDDER, GivenVectors(VECTORS), ["plate-001"], is_forced=True)
    list(register_scans(dataset, [draw_scan(tmp_path / "new.png", (1, 2, 3))]))
    shutil.rmtree(dataset.plate("plate-002").folder)
    found = differences(dataset, registry, "first", "now")
    assert found.plates_added == ("plate-003",)
    assert found.plates_removed == ("plate-002",)
    (plate,) = found.plates_changed
    ((run),) = plate.runs
    assert (plate.plate_id, run.instrument, run.before) == ("plate-001", EMBEDDER, before)
    assert run.after is not None
    assert run.after > before
    assert plate.added == (f"runs/{run.after}/run.manifest.json",)
    assert (plate.removed, plate.changed) == ((), ())
    assert found.records == (f"reports/{run.after}/config.json", f"reports/{run.after}/report.json")
    backwards = differences(dataset, registry, "now", "first")
    assert backwards.plates_changed[0].runs == (RunChange(EMBEDDER, run.after, before),)
    assert backwards.plates_changed[0].removed == plate.added


def test_a_changed_instrument_and_what_is_no_longer_current_are_named(verified):
    dataset, registry = verified
    changed = fake_registry(fake_spec(EMBEDDER, gain=2.0), fake_spec(SEGMENTER))
    found = differences(dataset, changed, "first", "now")
    fingerprints = [one.instruments[EMBEDDER].identity.fingerprint for one in (registry, changed)]
    assert found.instruments == (InstrumentChange(EMBEDDER, *fingerprints),)
    assert [(plate.plate_id, plate.runs[0].after) for plate in found.plates_changed] == [("plate-001", None)]
    assert found.root_before == found.root_after
    assert not found.is_empty


def test_what_is_neither_snapshot_nor_dataset_is_refused(verified, tmp_path):
    dataset, registry = verified
    with pytest.raises(SnapshotUnknown, match="no snapshot"):
        read_state(dataset, registry, str(tmp_path / "nowhere"))


def test_a_plate_that_only_changed_in_place_is_changed(verified):
    dataset, registry = verified
    path = Dataset(dataset.root).plate("plate-002").derived_path("thumbnail.jpg")
    path.write_bytes(b"other")
    (plate,) = differences(dataset, registry, "first", "now").plates_changed
    assert (plate.plate_id, plate.changed, plate.runs) == ("plate-002", ("derived/thumbnail.jpg",), ())
