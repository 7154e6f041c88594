"""`croissant.json` describes exactly the exported files, as `mlcroissant` reads them."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.licensed import license_plates
from support.made_results import TWO_SEGMENTS, GivenVectors, build_ledgers, measure, measure_groundwork
from support.made_withdrawals import withdrawn
from support.validators import needs_validators, run_offline

from atlas_assets.cli.dictionary.units import unit_of
from atlas_resources.export.tables.croissant import About, DescribedFile, croissant_document, names_each_row
from atlas_resources.export.tables.ledgers import export_ledgers
from atlas_resources.instruments.spec.spec import Licence
from atlas_resources.tables.ledgers import LEDGERS, PLATES

VECTORS = GivenVectors({f"plate-00{number}": (3.0, 4.0, float(number)) for number in range(1, 6)})
READ_ALL = """
import json, sys
import mlcroissant as mlc
dataset = mlc.Dataset(jsonld=sys.argv[1])
issues = dataset.metadata.ctx.issues
assert not issues.errors, issues.report()
assert not issues.warnings, issues.report()
plain = lambda value: value.decode() if isinstance(value, bytes) else str(value)
read = {
    each.id: [
        {name: value if isinstance(value, (list, dict, type(None), int, float)) else plain(value)
         for name, value in row.items()}
        for row in dataset.records(record_set=each.id)
    ]
    for each in dataset.metadata.record_sets
}
print(json.dumps(read, default=plain))
"""


@pytest.fixture
def measured(dataset, fakes):
    """Five plates in the public domain, with vectors and masks; ledgers built."""
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    license_plates(dataset, "CC0")
    measure_groundwork(dataset)
    measure(dataset, registry, EMBEDDER, VECTORS)
    measure(dataset, registry, SEGMENTER, TWO_SEGMENTS)
    build_ledgers(dataset, registry)
    return dataset


def described(folder: Path) -> dict:
    return json.loads((folder / "croissant.json").read_text(encoding="utf-8"))


def test_the_distribution_is_what_was_written_with_its_digests(measured, tmp_path):
    export_ledgers(measured, tmp_path)
    found = {one["contentUrl"]: (one["sha256"], one["contentSize"]) for one in described(tmp_path)["distribution"]}
    assert found == {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), f"{path.stat().st_size} B")
        for path in tmp_path.glob("*.parquet")
    }
    assert len(found) == len(LEDGERS)


def test_every_column_has_its_meaning_and_every_number_its_unit(measured, tmp_path):
    export_ledgers(measured, tmp_path, unit_of=unit_of)
    sets = {one["name"]: {field["name"]: field for field in one["field"]} for one in described(tmp_path)["recordSet"]}
    for name, table in LEDGERS.items():
        assert [(column.name, column.meaning) for column in table.columns] == [
            (field["name"], field["description"]) for field in sets[name].values()
        ]
    segment = sets["segments"]
    assert (segment["area_px"]["dataType"], segment["area_px"]["annotation"]["value"]) == ("sc:Integer", "px²")
    assert "annotation" not in segment["plate_id"]
    share = {field["name"]: field for field in segment["palette"]["subField"]}["share"]
    assert (share["dataType"], share["annotation"]["value"]) == ("sc:Float", "ratio")
    vector = sets["embeddings"]["vector"]
    assert (vector["isArray"], vector["arrayShape"], vector["dataType"]) == (True, "-1", "sc:Float")


def test_keys_and_references_are_those_that_hold(measured, tmp_path):
    export_ledgers(measured, tmp_path)
    sets = {one["name"]: one for one in described(tmp_path)["recordSet"]}
    assert sets["plates"]["key"] == [{"@id": "plates/plate_id"}]
    assert "key" not in sets["tags"]  # of no rows nothing is known
    referred = {
        (name, field["name"]): field["references"]["field"]["@id"]
        for name, one in sets.items()
        for field in one["field"]
        if "references" in field
    }
    assert referred["segments", "plate_id"] == "plates/plate_id"
    assert referred["embeddings", "instrument"] == "models/instrument"
    assert ("tags", "plate_id") not in referred


def test_a_value_that_the_other_table_has_not_makes_no_reference(measured, tmp_path):
    export_ledgers(measured, tmp_path)
    files = [
        DescribedFile(table, pl.read_parquet(tmp_path / f"{name}.parquet"), f"{name}.parquet", "0" * 64, 1)
        for name, table in LEDGERS.items()
    ]
    fewer = [
        DescribedFile(one.table, one.rows.head(4), one.name, one.sha256, 1) if one.table is PLATES else one
        for one in files
    ]
    about = About("Ada", datetime(2026, 11, 29, tzinfo=UTC), "0.1.0")

    def references(some: list[DescribedFile]) -> list[str]:
        document = croissant_document(some, about, lambda *_: None)
        return [field["@id"] for one in document["recordSet"] for field in one["field"] if "references" in field]

    assert "segments/plate_id" in references(files)
    assert "segments/plate_id" not in references(fewer)


def test_rows_are_named_by_values_that_are_there_once():
    assert names_each_row(pl.DataFrame({"a": [1, 1], "b": [1, 2]}), ["a", "b"])
    assert not names_each_row(pl.DataFrame({"a": [1, 1], "b": [1, 2]}), ["a"])
    assert not names_each_row(pl.DataFrame({"a": [1, None]}), ["a"])
    assert not names_each_row(pl.DataFrame({"a": []}), ["a"])


def test_it_says_what_is_withdrawn_and_what_the_terms_leave_out(dataset, fakes, tmp_path):
    nc = Licence(spdx="CC-BY-NC-4.0", commercial_use="no", source="made here")
    registry = fake_registry(fake_spec(EMBEDDER).model_copy(update={"licence": nc}))
    license_plates(dataset, "CC0")
    license_plates(dataset, "CC BY-NC 4.0", "plate-002")
    measure_groundwork(dataset)
    measure(dataset, registry, EMBEDDER, VECTORS)
    withdrawn(dataset, "plate", "plate-001")
    build_ledgers(dataset, registry)
    export_ledgers(dataset, tmp_path, commercial=True)
    found = described(tmp_path)
    assert "Left out: 1 plate with all rows: withdrawn." in found["description"]
    assert "Left out: 1 plate with all rows: its licence, CC BY-NC 4.0, forbids commercial use." in found["description"]
    assert f"Left out: 3 rows of {EMBEDDER} in embeddings: its licence, CC-BY-NC-4.0" in found["description"]
    assert found["license"] == ["http://creativecommons.org/publicdomain/zero/1.0/"]
    notice = (tmp_path / "LICENCES.txt").read_bytes()
    assert [one["sha256"] for one in found["distribution"] if one["contentUrl"] == "LICENCES.txt"] == [
        hashlib.sha256(notice).hexdigest()
    ]


def test_licences_are_addresses_where_there_are_any(measured, tmp_path):
    export_ledgers(measured, tmp_path)
    zero, *others = described(tmp_path)["license"]
    assert zero == "http://creativecommons.org/publicdomain/zero/1.0/"
    runs = pl.read_parquet(tmp_path / "runs.parquet")["licence"].unique().to_list()
    assert others == [f"https://spdx.org/licenses/{one}.html" for one in sorted(runs)]


@needs_validators
def test_mlcroissant_finds_no_fault_and_reads_every_row_offline(measured, tmp_path):
    export_ledgers(measured, tmp_path, unit_of=unit_of)
    read = json.loads(run_offline(READ_ALL, tmp_path / "croissant.json"))
    tables = {name: pl.read_parquet(tmp_path / f"{name}.parquet") for name in LEDGERS}
    assert {name: len(rows) for name, rows in read.items()} == {name: rows.height for name, rows in tables.items()}
    for name, column in (("segments", "area_px"), ("segments", "segment_id"), ("embeddings", "vector")):
        assert [row[f"{name}/{column}"] for row in read[name]] == tables[name][column].to_list()
    first = tables["histograms"]["dominant_colours"][0][0]
    assert (
        read["histograms"][0]["histograms/dominant_colours"][0]["histograms/dominant_colours/share"] == first["share"]
    )
    assert read["histograms"][0]["histograms/dominant_colours"][0]["histograms/dominant_colours/lab"] == first["lab"]
