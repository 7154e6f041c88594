"""Exports for viewers follow people: rejected segments and texts do not leave, corrected classes name the person."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.annotation_rules import faults
from support.fake_instruments import SEGMENTER
from support.fake_regions import KEPT, PALETTE, POLYGONS, region_registry
from support.made_datasets import make_dataset
from support.made_results import build_ledgers, run_instrument
from support.made_tags import judged
from support.made_withdrawals import withdrawn
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_resources.export.viewers.people import judged_segments, without_rejected_segments
from atlas_resources.export.viewers.regions import export_regions, find_publishable
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.results import INSTRUMENT_TABLES

BASE = "https://example.org/plates"


@pytest.fixture
def dataset(tmp_path, fakes) -> Dataset:
    """Two plates with a kept segment each, as polygons."""
    dataset, registry = make_dataset(tmp_path, "red", "green"), region_registry()
    for key in (SEGMENTER, KEPT, PALETTE, POLYGONS):
        assert run_instrument(dataset, registry, key) == ["complete"] * 2
    build_ledgers(dataset, registry)
    return dataset


def segment_of(dataset: Dataset, plate_id: str) -> dict[str, Any]:
    """The plate's kept segment, as the segmenter sealed it, as a selection names it."""
    kept = read_ledger(dataset, INSTRUMENT_TABLES["outline"]).row(
        by_predicate=pl.col("plate_id") == plate_id, named=True
    )
    segments = read_ledger(dataset, INSTRUMENT_TABLES["segmentation"])
    same = (pl.col("plate_id") == plate_id) & (pl.col("segment_id") == kept["segment_id"])
    row = segments.row(by_predicate=same, named=True)
    return {"plate_id": plate_id, "run_id": row["run_id"], "segment_id": row["segment_id"]}


def exported(dataset: Dataset, folder: Path) -> dict[str, int]:
    found = find_publishable(dataset, SEGMENTER)
    return {one.plate_id: one.regions_count for one in export_regions(dataset, folder, found, BASE)}


def test_a_rejected_segment_leaves_neither_as_geojson_nor_as_an_annotation(dataset, tmp_path):
    assert exported(dataset, tmp_path / "out") == {"plate-001": 1, "plate-002": 1}
    judged(dataset, {**segment_of(dataset, "plate-001"), "judgement": "rejected"})
    build_ledgers(dataset, region_registry())
    assert exported(dataset, tmp_path / "later") == {"plate-002": 1}
    assert not list((tmp_path / "later").glob("plate-001/*"))
    found = find_publishable(dataset, SEGMENTER)
    assert (found.rejected_regions, found.sentences) == (1, ["1 region: rejected by people"])
    collection = json.loads((tmp_path / "later" / "collection.json").read_text())
    assert [one["id"] for one in collection["items"]] == [f"{BASE}/plate-002/manifest.json"]
    assert collection["metadata"][0]["value"] == {"en": ["1 region: rejected by people"]}


def test_the_newest_word_counts_by_whomever(dataset, tmp_path):
    segment = segment_of(dataset, "plate-001")
    judged(dataset, {**segment, "judgement": "rejected"}, by="Ada")
    judged(dataset, {**segment, "judgement": "accepted"}, by="Ben")
    build_ledgers(dataset, region_registry())
    assert exported(dataset, tmp_path / "out") == {"plate-001": 1, "plate-002": 1}


def test_a_corrected_class_names_the_person_beside_the_machines(dataset, tmp_path):
    judged(dataset, {**segment_of(dataset, "plate-001"), "corrected": "<b>moth</b>"}, by="Ada")
    build_ledgers(dataset, region_registry())
    exported(dataset, tmp_path / "out")
    page = json.loads((tmp_path / "out" / "plate-001" / "annotations.json").read_text())
    assert faults(page) == []
    machine, facts, person = page["items"][0]["body"]
    assert (machine["value"], "creator" in machine) == (segment_of(dataset, "plate-001")["segment_id"], False)
    assert (person["value"], person["format"], person["purpose"]) == ("<b>moth</b>", "text/plain", "tagging")
    assert person["creator"] == {"type": "Person", "name": "Ada"}
    assert facts["value"].startswith("machine_made: true\n")
    assert "class_name: printed" in facts["value"]
    assert facts["value"].endswith("corrected_class: <b>moth</b>\ncorrected_by: Ada")
    (feature,) = json.loads((tmp_path / "out" / "plate-001" / "regions.geojson").read_text())["features"]
    stated = feature["properties"]
    assert (stated["class_name"], stated["corrected_class"], stated["corrected_by"]) == (
        "printed",
        "<b>moth</b>",
        "Ada",
    )
    (other,) = json.loads((tmp_path / "out" / "plate-002" / "regions.geojson").read_text())["features"]
    assert "corrected_class" not in other["properties"]


def test_texts_about_a_rejected_segment_do_not_leave(dataset):
    judged(dataset, {**segment_of(dataset, "plate-001"), "judgement": "rejected"})
    ledgers = build_ledgers(dataset, region_registry())
    judgements = judged_segments(ledgers["segments"], ledgers["tags"])
    models = pl.DataFrame({"instrument": ["captions", KEPT], "upstream": [KEPT, SEGMENTER]})
    segment = segment_of(dataset, "plate-001")["segment_id"]
    texts = pl.DataFrame(
        {
            "instrument": ["captions", "captions", "captions", "another"],
            "plate_id": ["plate-001", "plate-001", "plate-002", "plate-001"],
            "segment_id": [segment, None, segment, segment],
        },
        schema_overrides={"segment_id": pl.String},
    )
    kept = without_rejected_segments(texts, ledgers["kept_segments"], judgements, models)
    assert kept.rows() == texts.rows()[1:]


def test_the_command_names_what_is_withdrawn_and_what_an_earlier_export_left(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    exported(dataset, tmp_path / "out")
    withdrawn(dataset, "plate", "plate-001")
    build_ledgers(dataset, region_registry())
    done = CliRunner().invoke(app, ["export-regions", str(tmp_path / "out"), "--segmenter", SEGMENTER])
    assert done.exit_code == 0, done.output
    assert "left out 1 plate with all rows: withdrawn" in done.output
    assert f"{tmp_path / 'out' / 'plate-001'}: of an earlier export, and not in this one" in done.output
    collection = json.loads((tmp_path / "out" / "collection.json").read_text())
    assert [one["label"] for one in collection["items"]] == [{"none": [dataset.plate("plate-002").manifest().title]}]
