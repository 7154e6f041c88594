"""What the measured files state of themselves: read once, until a file changes."""

from pathlib import Path

import pytest
from support.made_results import measure_groundwork

from atlas_resources.plates.contracts import GroundworkCost, InputImage
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import COST_NAME, INPUT_IMAGE_NAME, MEASURE_VERSION
from atlas_resources.plates.index import measured, unchanged
from atlas_resources.plates.index.measured import read_measured, read_stated
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import Plate


@pytest.fixture
def plate(dataset: Dataset) -> Plate:
    measure_groundwork(dataset)
    return next(iter(dataset.plates()))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read. They count as written a while ago."""
    found: list[str] = []
    own = measured.read_json
    monkeypatch.setattr(measured, "read_json", lambda path, model: found.append(path.name) or own(path, model))
    monkeypatch.setattr(unchanged, "settled_ns", lambda device: -(10**12))
    return found


def test_a_file_states_version_source_and_time(plate: Plate):
    stated = read_stated(plate.derived_path(COST_NAME))
    assert (stated.measure_version, stated.source_sha256) == (MEASURE_VERSION, plate.source_sha256())
    assert stated.measured_at == read_measured(plate.derived_path(COST_NAME), GroundworkCost).measured_at
    assert read_stated(plate.derived_path(INPUT_IMAGE_NAME)).measured_at is None


def test_what_was_read_whole_is_not_read_again_for_what_it_states(plate: Plate, reads: list[str]):
    path = plate.derived_path(INPUT_IMAGE_NAME)
    whole = read_measured(path, InputImage)
    stated = read_stated(path)
    assert (stated.measure_version, stated.source_sha256) == (whole.measure_version, whole.source_sha256)
    assert reads == [INPUT_IMAGE_NAME]


def test_a_whole_file_is_read_each_time(plate: Plate, reads: list[str]):
    path = plate.derived_path(INPUT_IMAGE_NAME)
    read_stated(path)
    assert read_measured(path, InputImage) == read_measured(path, InputImage)
    assert reads == [INPUT_IMAGE_NAME] * 3


def test_a_file_that_changed_is_read_again_and_a_broken_one_is_an_error(plate: Plate, reads: list[str]):
    path = plate.derived_path(INPUT_IMAGE_NAME)
    read_stated(path)
    path.write_bytes(path.read_bytes().replace(b'"width"', b'"witdh"'))
    with pytest.raises(DatasetBroken, match="is not a valid InputImage"):
        read_stated(path)


def test_a_missing_file_is_an_error(tmp_path: Path):
    with pytest.raises(DatasetBroken, match="cannot be read"):
        read_stated(tmp_path / INPUT_IMAGE_NAME)
