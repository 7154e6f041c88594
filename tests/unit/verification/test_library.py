"""What a verification finds: one finding for each thing that is wrong, of the right kind, with the way to fix it."""

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from support.fake_instruments import EMBEDDER
from support.made_results import build_ledgers, reseal
from support.verified import findings_in, make_verified

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.files.stated_digests import state_digest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.verification.library import verify


@pytest.fixture
def verified(tmp_path, fakes):
    return make_verified(tmp_path)


def kinds(findings) -> list[tuple[str, str]]:
    return sorted((finding.kind, finding.path) for finding in findings)


def run_folder(dataset: Dataset, plate_id: str, name: str):
    (folder,) = (path.parent for path in dataset.plate(plate_id).runs_folder.glob(f"*/{name}"))
    return folder


@pytest.mark.parametrize("level", ["quick", "standard", "deep"])
def test_a_dataset_that_is_whole_has_no_finding(verified, level):
    dataset, registry = verified
    assert findings_in(dataset, registry, level) == []


def test_a_dataset_at_a_relative_path_has_no_finding_either(verified, monkeypatch):
    dataset, registry = verified
    monkeypatch.chdir(dataset.root.parent)
    assert findings_in(Dataset(Path(dataset.root.name)), registry, "deep") == []


def test_an_empty_dataset_has_no_finding(tmp_path, verified):
    empty = Dataset(tmp_path / "empty")
    empty.ensure()
    assert findings_in(empty, verified[1]) == []


def test_a_missing_output_is_found_at_every_level(verified):
    dataset, registry = verified
    path = run_folder(dataset, "plate-001", "embeddings.parquet") / "embeddings.parquet"
    path.unlink()
    for level in ("quick", "standard", "deep"):
        (finding, *_) = [one for one in findings_in(dataset, registry, level) if one.plate_id]
        assert (finding.kind, finding.plate_id) == ("missing", "plate-001")
        assert finding.path == path.relative_to(dataset.root).as_posix()
        assert f"atlas run '@{EMBEDDER}' --plates plate-001" in finding.fix


def test_a_shorter_file_is_truncated(verified):
    dataset, registry = verified
    path = run_folder(dataset, "plate-001", "segments.parquet") / "segments.parquet"
    os.truncate(path, path.stat().st_size - 1)
    assert ("truncated", path.relative_to(dataset.root).as_posix()) in kinds(findings_in(dataset, registry, "quick"))


def test_a_second_verification_hashes_only_what_changed_and_a_deep_one_everything(verified):
    dataset, registry = verified
    source = dataset.plate("plate-001").source_path()
    first = verify(dataset, registry)
    assert first.hashed_bytes > source.stat().st_size
    assert verify(dataset, registry).hashed_bytes == 0
    source.touch()
    assert verify(dataset, registry).hashed_bytes == source.stat().st_size
    assert verify(dataset, registry, "deep").hashed_bytes == first.hashed_bytes


def test_files_that_belong_to_nothing_are_named(verified):
    dataset, registry = verified
    plate = dataset.plate("plate-002")
    strays = [
        plate.folder / "notes.txt",
        plate.folder / "source" / "second.png",
        plate.folder / "derived" / "old.json",
        plate.folder / "manifests" / "manifest-2.json",
        plate.runs_folder / "run-x",
        run_folder(dataset, "plate-002", "segments.parquet") / "extra.bin",
        dataset.reports_dir / "notes.txt",
        dataset.ledger_dir / "mine.parquet",
        dataset.plates_dir / "stray.txt",
        dataset.schemas_dir / "mine.schema.json",
    ]
    for path in strays:
        path.parent.mkdir(exist_ok=True)
        path.write_text("stray")
    found = {finding.path for finding in findings_in(dataset, registry) if finding.kind == "orphan"}
    assert found == {path.relative_to(dataset.root).as_posix() for path in strays}


def test_what_killed_processes_leave_is_unfinished_and_is_not_wrong(verified):
    dataset, registry = verified
    plate = dataset.plate("plate-001")
    (plate.runs_folder / ".run-20260101-000000Z-00000000.partial").mkdir()
    (dataset.plates_dir / ".incoming-1-aa").mkdir()
    (plate.folder / "derived" / ".input_image.json.00aa.tmp").write_text("{")
    (dataset.root / ".atlas.duckdb.00aa.tmp").write_text("")
    (dataset.reports_dir / "run-20260101-000000Z-00000000").mkdir()
    found = verify(dataset, registry)
    assert {finding.kind for finding in found.findings} == {"unfinished"}
    assert len(found.findings) == 5
    assert found.is_clean


def test_a_sealed_run_that_its_report_names_and_that_is_gone_is_missing(verified):
    dataset, registry = verified
    folder = run_folder(dataset, "plate-001", "embeddings.parquet")
    shutil.rmtree(folder)
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    (finding,) = findings_in(dataset, registry)
    assert (finding.kind, finding.path) == ("missing", folder.relative_to(dataset.root).as_posix())


def test_a_plate_folder_without_its_manifest_is_missing_it(verified):
    dataset, registry = verified
    dataset.plate("plate-002").manifest_path.unlink()
    assert ("missing", "plates_structured/plate-002") in kinds(findings_in(dataset, registry))


def test_a_file_of_another_plate_breaks_its_schema(verified):
    dataset, registry = verified
    one, other = (dataset.plate(plate_id) for plate_id in ("plate-001", "plate-002"))
    shutil.copy(one.derived_path("input_image.json"), other.derived_path("input_image.json"))
    found = [finding for finding in findings_in(dataset, registry) if finding.plate_id == "plate-002"]
    assert ("schema", "plates_structured/plate-002/derived/input_image.json") in kinds(found)


def test_rows_edited_together_with_every_digest_are_found_by_a_deep_verification(verified):
    dataset, registry = verified
    path = run_folder(dataset, "plate-001", "embeddings.parquet") / "embeddings.parquet"
    pl.read_parquet(path).with_columns(l2_norm=pl.lit(0.5)).write_parquet(path)
    reseal(path)
    found = [finding for finding in findings_in(dataset, registry, "deep") if finding.plate_id]
    assert [finding.kind for finding in found] == ["schema"]
    assert "l2_norm" in found[0].problem


def test_a_ledger_edited_together_with_its_digest_is_found_by_a_deep_verification(verified):
    dataset, registry = verified
    path = dataset.ledger_dir / "plates.parquet"
    rows, stated = pl.read_parquet(path), pl.read_parquet_metadata(path)
    stated.pop("ARROW:schema")
    rows.with_columns(title=pl.lit("Another")).cast(rows.schema).write_parquet(path, metadata=stated)
    state_digest(path)
    assert findings_in(dataset, registry) == []
    found = kinds(findings_in(dataset, registry, "deep"))
    assert ("ledger-drift", "ledger/plates.parquet") in found
    assert ("ledger-drift", "atlas.duckdb") in found


def test_ledgers_that_are_only_behind_are_unfinished(verified):
    dataset, registry = verified
    shutil.rmtree(dataset.plate("plate-002").folder / "derived")
    found = verify(dataset, registry)
    assert [finding.kind for finding in found.findings] == ["unfinished"]
    assert "groundwork of 1 plates" in found.findings[0].problem


def test_the_state_of_the_library_changes_with_every_sealed_result_and_not_with_ledgers(verified, tmp_path):
    dataset, registry = verified
    before = verify(dataset, registry).root_sha256
    copy = Dataset(shutil.copytree(dataset.root, tmp_path / "copy"))
    assert verify(copy, registry).root_sha256 == before
    shutil.rmtree(copy.ledger_dir)
    copy.catalogue_path.unlink()
    assert verify(copy, registry).root_sha256 == before
    shutil.rmtree(run_folder(copy, "plate-001", "embeddings.parquet"))
    assert verify(copy, registry).root_sha256 != before


def test_only_the_plates_asked_for_are_verified(verified):
    dataset, registry = verified
    dataset.plate("plate-002").source_path().write_bytes(b"other")
    assert verify(dataset, registry, plate_ids=["plate-001"]).is_clean
    (finding,) = verify(dataset, registry, plate_ids=["plate-002"]).findings
    assert finding.kind == "altered"


def test_a_file_of_a_later_release_names_what_reads_it(verified):
    dataset, registry = verified
    path = dataset.plate("plate-001").manifest_path
    path.write_text(json.dumps({"schema_version": 99, **json.loads(path.read_text()), "new_field": 1}))
    content = json.loads(path.read_text()) | {"schema_version": 99}
    path.write_text(json.dumps({"schema_version": 99, **content}))
    found = [finding for finding in findings_in(dataset, registry) if finding.path.endswith("001/manifest.json")]
    assert "at most 2, found 99" in found[0].problem
    assert "the release of Atlas that wrote it" in found[0].fix
