"""`docs/data-dictionary.md` is what `atlas dictionary` writes, and the record of columns and fields is kept."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from support.made_specs import PROJECT
from support.older_datasets import unpack
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_assets.cli.dictionary import page, record
from atlas_assets.cli.dictionary.meanings import MeaningMissing, meaning_of
from atlas_assets.cli.dictionary.page import NUMBERS, PAGE_NAME, dictionary_page
from atlas_assets.cli.dictionary.record import (
    RECORD_PATH,
    Recorded,
    broken_promises,
    present_parts,
    read_record,
    unrecorded,
    updated,
    write_record,
)
from atlas_assets.cli.dictionary.schemas import Part, parts_of_schema, parts_of_type, sql_type, table_parts
from atlas_assets.cli.dictionary.units import UnitUnknown, unit_of
from atlas_resources.catalogue.build import empty_catalogue
from atlas_resources.files.contract import SCHEMA_VERSION
from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.plates.json_files import CONTRACTS
from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.results import INSTRUMENT_TABLES

PRESENT, RECORD = present_parts(), read_record()
PAGE = dictionary_page(PROJECT, RECORD)


def changed(kind: str, owner: str, **parts: Part | None) -> dict:
    """What a release would have in which one table or file has other parts; None takes one away."""
    found = {**PRESENT[kind][owner], **parts}
    kept = {path: part for path, part in found.items() if part is not None}
    return {**PRESENT, kind: {**PRESENT[kind], owner: kept}}


def test_no_column_or_field_is_gone_or_changed():
    assert list(broken_promises(RECORD, PRESENT)) == []


def test_every_column_and_field_is_recorded():
    assert list(unrecorded(RECORD, PRESENT)) == []


def test_the_page_is_current():
    assert (PROJECT_ROOT / PAGE_NAME).read_text(encoding="utf-8") == PAGE, "Update it: atlas dictionary"


def test_the_command_writes_the_page_and_no_record_where_nothing_is_new(tmp_path: Path):
    before = RECORD_PATH.read_bytes()
    result = CliRunner().invoke(app, ["dictionary", str(tmp_path / "page.md")])
    assert (result.exit_code, "recorded" in result.output) == (0, False)
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == PAGE
    assert RECORD_PATH.read_bytes() == before


def test_the_command_refuses_a_column_that_is_gone(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(record, "present_parts", lambda: changed("tables", "plates", title=None))
    result = CliRunner().invoke(app, ["dictionary", str(tmp_path / "page.md")])
    assert result.exit_code == 1
    assert "plates.title: gone; it is there since version 1. Files of earlier releases have it" in result.output
    assert not (tmp_path / "page.md").exists()


def test_the_command_names_a_number_without_a_unit(tmp_path: Path, monkeypatch):
    def refuse(owner: str, path: str) -> str:
        raise UnitUnknown(f"{owner}.{path}: a number without a unit. Fix: name it")

    monkeypatch.setattr(page, "unit_of", refuse)
    result = CliRunner().invoke(app, ["dictionary", str(tmp_path / "page.md")])
    assert (result.exit_code, (tmp_path / "page.md").exists()) == (1, False)
    assert "plates.plate_number: a number without a unit. Fix: name it" in result.output


def test_a_gone_column_and_a_changed_type_are_found():
    (gone,) = broken_promises(RECORD, changed("tables", "segments", area_px=None))
    assert gone.startswith("segments.area_px: gone; it is there since version 1. ")
    assert "add another one beside it" in gone
    (typed,) = broken_promises(RECORD, changed("tables", "segments", area_px=Part(("DOUBLE",))))
    assert typed.startswith("segments.area_px: expected BIGINT among its types, found DOUBLE. ")
    (nested,) = broken_promises(RECORD, changed("tables", "plates", **{"jpeg.subsampling": None}))
    assert nested.startswith("plates.jpeg.subsampling: gone")
    without = {**PRESENT, "tables": {name: parts for name, parts in PRESENT["tables"].items() if name != "probes"}}
    assert [line.partition(". ")[0] for line in broken_promises(RECORD, without)] == ["probes: gone from tables"]


def test_a_field_of_json_may_gain_types_and_lose_none():
    status = PRESENT["files"]["report"]["status"]
    assert status.types == ("'complete'", "'failed'")
    more = replace(status, types=(*status.types, "'stopped'"))
    assert list(broken_promises(RECORD, changed("files", "report", status=more))) == []
    (lost,) = broken_promises(RECORD, changed("files", "report", status=replace(status, types=("'complete'",))))
    assert lost.startswith("report.status: expected 'failed' among its types, found 'complete'. ")
    (not_null,) = broken_promises(RECORD, changed("files", "manifest", license=Part(("string",))))
    assert not_null.startswith("manifest.license: expected null among its types")


def test_a_field_that_older_files_lack_must_not_be_required():
    """Files of version 1 lack a new field, and may lack one that had a default."""
    (new,) = broken_promises(RECORD, changed("files", "report", host=Part(("string",), is_required=True)))
    assert new.startswith("report.host: required, but files of earlier releases may lack it. Fix: give it a default")
    (nested,) = broken_promises(
        RECORD, changed("files", "run.manifest", **{"environment.host": Part(("string",), is_required=True)})
    )
    assert nested.startswith("run.manifest.environment.host: required, but files of earlier releases may lack it")
    licence = PRESENT["files"]["manifest"]["license"]
    (stricter,) = broken_promises(RECORD, changed("files", "manifest", license=replace(licence, is_required=True)))
    assert stricter.startswith("manifest.license: required")
    assert list(broken_promises(RECORD, changed("files", "report", host=Part(("string", "null"))))) == []


def test_what_is_new_is_recorded_with_the_present_version_and_the_rest_as_it_was():
    present = changed("tables", "plates", weather=Part(("VARCHAR",)))
    present["files"] = {**present["files"], "forecast": {"rain_ratio": Part(("number",), is_required=True)}}
    assert [line.partition(":")[0] for line in unrecorded(RECORD, present)] == ["plates.weather", "forecast.rain_ratio"]
    after = updated(RECORD, present)
    assert after["tables"]["plates"]["weather"] == Recorded(Part(("VARCHAR",)), SCHEMA_VERSION)
    assert after["files"]["forecast"]["rain_ratio"].since == SCHEMA_VERSION
    assert after["tables"]["plates"]["title"].since == 1
    assert list(broken_promises(after, present)) == []  # what is required in a new file is not missing in an old one


def test_a_column_may_go_from_a_derived_ledger_only_if_the_reason_is_stated(monkeypatch):
    monkeypatch.setitem(record.GONE, "models", {"title": (2, "is in the specs")})
    present = changed("tables", "models", title=None)
    assert list(broken_promises(RECORD, present)) == []
    assert updated(RECORD, present)["tables"]["models"]["title"] == RECORD["tables"]["models"]["title"]
    assert "- `title`, until version 2: is in the specs." in dictionary_page(PROJECT, RECORD)


def test_no_column_goes_from_a_table_whose_rows_are_sealed():
    assert set(record.GONE) <= set(LEDGERS) - {table.name for table in INSTRUMENT_TABLES.values()}
    for ledger, columns in record.GONE.items():
        assert not set(columns) & set(LEDGERS[ledger].schema)
        assert all(reason for _, reason in columns.values())


def test_a_record_reads_back_as_it_was_written(tmp_path: Path):
    write_record(RECORD, tmp_path / "versions.json")
    assert read_record(tmp_path / "versions.json") == RECORD
    assert (tmp_path / "versions.json").read_bytes() == RECORD_PATH.read_bytes()


def test_version_1_is_what_the_last_release_of_version_1_wrote(tmp_path: Path):
    """By its Parquet files and its own JSON Schemas."""
    dataset = unpack("version_1", tmp_path / "atlas")
    found = {
        "tables": {
            path.stem: {
                name: part
                for column, dtype in pl.read_parquet_schema(path).items()
                for name, part in parts_of_type(column, dtype).items()
            }
            for path in dataset.ledger_dir.glob("*.parquet")
        },
        "files": {
            path.name.removesuffix(".schema.json"): parts_of_schema(json.loads(path.read_bytes()))
            for path in dataset.schemas_dir.glob("*.json")
        },
    }
    assert {kind: {owner: set(parts) for owner, parts in owners.items()} for kind, owners in found.items()} == {
        kind: {
            owner: {path for path, one in entries.items() if one.since == 1}
            for owner, entries in owners.items()
            if any(one.since == 1 for one in entries.values())
        }
        for kind, owners in RECORD.items()
    }
    as_recorded = {
        kind: {owner: {path: Recorded(part, 1) for path, part in parts.items()} for owner, parts in owners.items()}
        for kind, owners in found.items()
    }
    assert list(broken_promises(as_recorded, PRESENT)) == []


def test_types_are_those_that_duckdb_gives_the_columns():
    with empty_catalogue(PROJECT) as connection:
        rows = connection.execute("SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal")
        found = {(table, column): kind.replace('"', "") for table, column, kind in rows.fetchall()}
    declared = {(name, one.name): sql_type(one.dtype) for name, table in LEDGERS.items() for one in table.columns}
    assert {key: found[key] for key in declared} == declared


@pytest.mark.parametrize("name", sorted({table.name for table in INSTRUMENT_TABLES.values()} | set(LEDGERS)))
def test_a_table_has_its_columns_with_unit_version_and_meaning(name: str):
    section = PAGE.partition(f'<a id="{name}"></a>')[2].partition("\n### ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == [column.name for column in LEDGERS[name].columns]
    assert {len(row) for row in rows} == {5}
    assert all(row[3].isdigit() and row[4] for row in rows)


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_a_json_file_has_its_fields_each_with_a_meaning(name: str):
    section = PAGE.partition(f'<a id="{name}.json"></a>')[2].partition("\n### ")[0]
    for field, of_schema in CONTRACTS[name].model_fields.items():
        assert f"`{field}`" in section
        if of_schema.description and "*" not in of_schema.description and "<" not in of_schema.description:
            assert " ".join(of_schema.description.split()).replace("|", "\\|") in section


def test_every_number_has_a_unit():
    for name, parts in table_parts().items():
        for path, part in parts.items():
            if NUMBERS & set(part.types):
                assert unit_of(name, path)


@pytest.mark.parametrize(
    ("owner", "path", "unit"),
    [
        ("segments", "area_px", "px²"),
        ("segments", "x_min", "px"),
        ("detections", "x_min_ratio", "ratio"),
        ("histograms", "lab[]", "pixels"),
        ("histograms", "dominant_colours[].lab[]", "Lab"),
        ("histograms", "dominant_colours[].spread_delta_e", "CIEDE2000"),
        ("runs", "peak_memory_bytes", "bytes"),
        ("runs", "compute_seconds", "s"),
        ("runs", "sealed_at", "UTC"),
        ("plates", "luminance_p99", "luma, 0..255"),
        ("metrics", "seconds.decode", "s"),
    ],
)
def test_units(owner: str, path: str, unit: str):
    assert unit_of(owner, path) == unit


def test_a_number_without_a_unit_and_a_field_without_a_meaning_are_errors(monkeypatch):
    with pytest.raises(UnitUnknown, match=r"plates\.warmth: a number without a unit\. Fix: name it with one"):
        unit_of("plates", "warmth")
    monkeypatch.setattr("atlas_assets.cli.dictionary.meanings._parts", lambda: {"report": {"host": Part(("string",))}})
    with pytest.raises(MeaningMissing, match=r"report\.json, host: a field without a meaning\. Fix: Field\("):
        meaning_of("report", "host")
