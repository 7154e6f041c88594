"""Paths, contract JSON and atomic writes of a dataset."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_scans import write_image
from support.rewritten import rewrite_json

from atlas_resources.files.durable import write_bytes_atomically, write_json_atomically
from atlas_resources.plates.contracts import PLATE_ID_PATTERN, PlateManifest
from atlas_resources.plates.dataset import Dataset, dataset_root
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.json_files import CONTRACTS, DatasetBroken, read_json
from atlas_resources.plates.plate import PlateIdRefused, PlateUnknown


@pytest.fixture
def dataset(tmp_path):
    dataset = Dataset(tmp_path / "atlas")
    dataset.ensure()
    return dataset


def write_plate(dataset: Dataset, plate_id: str, second: int) -> None:
    manifest = PlateManifest(
        plate_id=plate_id,
        plate_number=None,
        title="A plate",
        slug="a-plate",
        source_image="a.png",
        registered_from="/scans/a.png",
        created_at=datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC),
    )
    write_json_atomically(dataset.plate(plate_id).folder / "manifest.json", manifest)


def test_the_root_is_atlas_home_or_else_data_atlas(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ATLAS_HOME", raising=False)
    assert dataset_root() == tmp_path / "data" / "atlas"
    monkeypatch.setenv("ATLAS_HOME", "/elsewhere")
    assert dataset_root() == Path("/elsewhere")


def test_every_folder_is_under_the_root():
    dataset = Dataset(Path("/r"))
    assert dataset.staging_dir == Path("/r/plates")
    assert dataset.plate("plate-001").folder == Path("/r/plates_structured/plate-001")
    assert dataset.plate("plate-001").derived_path("input_image.json") == Path(
        "/r/plates_structured/plate-001/derived/input_image.json"
    )
    assert dataset.plate("plate-001").runs_folder == Path("/r/plates_structured/plate-001/runs")
    assert (dataset.reports_dir, dataset.ledger_dir) == (Path("/r/reports"), Path("/r/ledger"))
    assert (dataset.schemas_dir, dataset.catalogue_path) == (Path("/r/schemas"), Path("/r/atlas.duckdb"))


@pytest.mark.parametrize(
    "plate_id", ["../../etc", "Plate 1", "", ".", "..", ".incoming-1", "a/b", "a\\b", "plate-001\n", "é", "a" * 65]
)
def test_an_id_that_is_not_a_slug_is_refused(dataset, plate_id):
    with pytest.raises(PlateIdRefused, match="expected a slug"):
        dataset.plate(plate_id)


@given(st.text() | st.from_regex(PLATE_ID_PATTERN) | st.text(alphabet="./\\a-\n\0", max_size=8))
def test_no_id_leads_out_of_the_plates_folder(plate_id):
    dataset = Dataset(Path("/r"))
    try:
        folder = dataset.plate(plate_id).folder
    except PlateIdRefused:
        return
    assert Path(os.path.normpath(folder)).parent == dataset.plates_dir
    assert not folder.name.startswith(".")


def test_ensure_writes_the_schema_of_every_contract(dataset):
    assert {path.name for path in dataset.schemas_dir.iterdir()} == {f"{name}.schema.json" for name in CONTRACTS}
    for path in dataset.schemas_dir.iterdir():
        schema = json.loads(path.read_bytes())
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False


def test_ensure_again_writes_nothing_but_restores_a_changed_schema(dataset):
    schema = dataset.schemas_dir / "manifest.schema.json"
    before = schema.stat()
    dataset.ensure()
    assert schema.stat().st_ino == before.st_ino
    content = schema.read_bytes()
    schema.write_text("{}")
    dataset.ensure()
    assert schema.read_bytes() == content


def test_a_registered_manifest_is_valid_and_an_unknown_field_is_not(dataset, tmp_path):
    list(register_scans(dataset, [write_image(tmp_path / "a.png")]))
    manifest = json.loads(dataset.plate("plate-001").manifest_path.read_bytes())
    schema = json.loads((dataset.schemas_dir / "manifest.schema.json").read_bytes())
    jsonschema.validate(manifest, schema)
    with pytest.raises(jsonschema.ValidationError, match="colour"):
        jsonschema.validate(manifest | {"colour": "red"}, schema)


def test_plates_are_listed_in_order_of_registration(dataset):
    for plate_id, second in (("plate-001", 9), ("zebra", 1), ("b", 5), ("a", 5)):
        write_plate(dataset, plate_id, second)
    assert dataset.plate_ids() == ["zebra", "a", "b", "plate-001"]


def test_hidden_folders_and_folders_without_a_manifest_are_not_plates(dataset):
    write_plate(dataset, "plate-001", 1)
    (dataset.plates_dir / ".incoming-7").mkdir()
    (dataset.plates_dir / ".incoming-7" / "manifest.json").write_text("{}")
    (dataset.plates_dir / "plate-002").mkdir()
    assert dataset.plate_ids() == ["plate-001"]


def test_a_plate_with_a_broken_manifest_is_listed_last_and_fails_by_name(dataset):
    write_plate(dataset, "plate-002", 1)
    dataset.plate("plate-001").folder.mkdir()
    dataset.plate("plate-001").manifest_path.write_text("{")
    assert dataset.plate_ids() == ["plate-002", "plate-001"]
    with pytest.raises(DatasetBroken, match=r"plate-001/manifest\.json"):
        dataset.plate("plate-001").manifest()


def test_a_missing_root_has_no_plates(tmp_path):
    assert Dataset(tmp_path / "nothing").plate_ids() == []


def test_an_unregistered_plate_is_refused_by_name(dataset):
    with pytest.raises(PlateUnknown, match="plate-009: no such plate"):
        dataset.plate("plate-009").manifest()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"colour": "red"}, "colour: Extra inputs are not permitted, found 'red'"),
        ({"title": 7}, "title: Input should be a valid string, found '7'"),
        ({"plate_id": "../x"}, "plate_id: String should match pattern"),
        ({"plate_id": "plate-002"}, "plate_id: expected 'plate-001', the name of its folder, found 'plate-002'"),
        ({"source_image": "../../x.png"}, "source_image: expected a file name, found '../../x.png'"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_found_and_the_fix(dataset, change, complaint):
    write_plate(dataset, "plate-001", 1)
    path = dataset.plate("plate-001").manifest_path
    rewrite_json(path, **change)
    with pytest.raises(DatasetBroken) as broken:
        dataset.plate("plate-001").source_path()
    assert str(broken.value).startswith(f"{path}: ")
    assert complaint in str(broken.value)
    assert "Fix: restore it from a backup" in str(broken.value)


@pytest.mark.parametrize(
    "text", ["", "abc", f"{'0' * 64} source/a.png\n", f"{'0' * 64}  source/../a.png\n", f"{'0' * 64}"]
)
def test_a_digest_file_that_is_not_a_line_of_sha256sum_is_refused(dataset, text):
    write_plate(dataset, "plate-001", 1)
    (dataset.plate("plate-001").folder / "source.sha256").write_text(text)
    with pytest.raises(DatasetBroken, match=r"source.sha256: expected one line .* Fix: check that"):
        dataset.plate("plate-001").source_sha256()


def test_a_missing_digest_file_is_named_with_its_fix(dataset):
    write_plate(dataset, "plate-001", 1)
    with pytest.raises(DatasetBroken, match=r"source.sha256: cannot be read: No such file.*sha256sum source"):
        dataset.plate("plate-001").source_sha256()


def test_what_is_written_is_read_back(dataset):
    write_plate(dataset, "plate-001", 1)
    manifest = dataset.plate("plate-001").manifest()
    write_json_atomically(dataset.root / "copy.json", manifest)
    assert read_json(dataset.root / "copy.json", PlateManifest) == manifest


def test_a_failed_write_leaves_only_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_bytes_atomically(path, b"old")

    def fail(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_bytes_atomically(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file.json", b"old")]


def test_a_plate_has_a_thumbnail_after_its_groundwork(dataset):
    assert dataset.plate("plate-001").thumbnail() is None
    write_bytes_atomically(dataset.plate("plate-001").derived_path("thumbnail.jpg"), b"\xff\xd8")
    assert dataset.plate("plate-001").thumbnail() == b"\xff\xd8"
