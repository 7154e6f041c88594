"""Index data, versions of manifests and refused scans in the ledgers, and that a change of them asks for a rebuild."""

import json
from pathlib import Path

import polars as pl
import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_results import build_ledgers
from support.made_scans import write_image

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.intake import build_refused_scans
from atlas_resources.ledgers.plates import build_plates
from atlas_resources.plates import decode
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.corrections import update_plates
from atlas_resources.plates.intake.registration import register_scans


@pytest.fixture
def scans(tmp_path):
    for number, name in enumerate(("a.png", "b.png")):
        write_image(tmp_path / "scans" / name, (number, 9, 9))
    (tmp_path / "scans" / "torn.tif").write_bytes(b"torn")
    (tmp_path / "scans" / "list.csv").write_text("file,title,artist,year,licence\na.png,Heron,Käthe,1827,CC0\n")
    return tmp_path / "scans"


@pytest.fixture
def dataset(tmp_path, scans):
    dataset = Dataset(tmp_path / "atlas")
    list(register_scans(dataset, [scans]))
    return dataset


def correct(dataset: Dataset, text: str) -> None:
    path = dataset.root.parent / "fix.csv"
    path.write_text(text)
    assert [one.reason for one in update_plates(dataset, path)[1]] == [None]


def test_further_columns_are_a_json_object_in_the_ledger(dataset):
    heron, other = build_plates(dataset).collect().iter_rows(named=True)
    assert json.loads(heron["extra"]) == {"artist": "Käthe", "year": 1827}
    assert "Käthe" in heron["extra"]
    assert (heron["licence"], heron["manifest_version"], heron["source_page"]) == ("CC0", 1, None)
    assert heron["manifest_updated_at"] == heron["created_at"]
    assert (other["extra"], other["licence"]) == ("{}", None)


def test_a_correction_is_in_the_ledger_with_its_version_and_time(dataset):
    before = build_plates(dataset).collect()
    correct(dataset, "plate_id,title\nplate-001,Grey heron\n")
    after = build_plates(dataset).collect()
    assert after["title"].to_list() == ["Grey heron", "b"]
    assert after["manifest_version"].to_list() == [2, 1]
    assert after["manifest_updated_at"][0] > before["manifest_updated_at"][0]
    assert after["created_at"].equals(before["created_at"])


def test_refused_scans_are_a_ledger_and_no_image_is_opened_for_it(dataset, scans, monkeypatch):
    monkeypatch.setattr(decode, "read_bytes", None)
    rows = build_refused_scans(dataset)
    assert rows["path"].to_list() == [str(scans / "torn.tif")]
    assert rows["reason"].to_list() == ["is not an image that can be read; accepted are JPEG, PNG, TIFF, WebP"]
    assert rows["fix"].to_list() == ["export the scan again"]
    assert rows["first_refused_at"].equals(rows["last_refused_at"].alias("first_refused_at"))


class TestBehind:
    @pytest.fixture
    def registry(self, fakes):
        return fake_registry(fake_spec(EMBEDDER))

    @pytest.fixture
    def built(self, dataset, registry):
        self.rebuild(dataset, registry)
        assert why_behind(dataset, registry) == ""
        return dataset

    def rebuild(self, dataset, registry) -> None:
        build_ledgers(dataset, registry)
        build_catalogue(dataset, registry)

    def test_a_correction_asks_for_a_rebuild_until_it_is_made(self, built, registry):
        correct(built, "plate_id,title\nplate-001,Grey heron\n")
        first = why_behind(built, registry)
        assert first.startswith("index data of 1 plates changed (")
        correct(built, "plate_id,title\nplate-001,Purple heron\n")
        assert why_behind(built, registry) != first
        self.rebuild(built, registry)
        assert why_behind(built, registry) == ""

    def test_a_refused_scan_that_is_gone_asks_for_a_rebuild(self, built, registry, scans):
        (scans / "torn.tif").unlink()
        list(register_scans(built, [scans]))
        assert why_behind(built, registry).startswith("the list of refused scans changed (")
        self.rebuild(built, registry)
        assert why_behind(built, registry) == ""


def test_a_staged_scan_is_a_row_under_its_path_in_the_dataset(tmp_path: Path):
    dataset = Dataset(tmp_path / "atlas")
    dataset.ensure()
    (dataset.staging_dir / "empty.jpg").touch()
    list(register_scans(dataset, [dataset.staging_dir]))
    rows = build_refused_scans(dataset)
    assert rows.select("path", "reason").rows() == [("plates/empty.jpg", "is empty (0 bytes)")]
    assert rows.schema["first_refused_at"] == pl.Datetime("us", "UTC")
