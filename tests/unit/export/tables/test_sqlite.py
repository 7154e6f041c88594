"""The SQLite copy of the catalogue: its rows, links between tables, and meanings, read by SQLite itself."""

import json
import sqlite3
from pathlib import Path

import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_results import TWO_SEGMENTS, GivenVectors, build_ledgers, measure, measure_groundwork
from support.made_withdrawals import withdrawn
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.export.tables.sqlite import export_sqlite
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import RUNS


def copy(dataset: Dataset, path: Path) -> None:
    with connect(dataset) as catalogue:
        export_sqlite(dataset, catalogue, path)


@pytest.fixture
def measured(dataset, fakes):
    """Groundwork of five plates, vectors and masks; ledgers and catalogue built."""
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    measure_groundwork(dataset)
    measure(dataset, registry, EMBEDDER, GivenVectors({f"plate-00{number}": (number, 1.0) for number in range(1, 6)}))
    measure(dataset, registry, SEGMENTER, TWO_SEGMENTS)
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    return dataset


@pytest.fixture
def copied(measured, tmp_path):
    """The copy, open, and its file."""
    path = tmp_path / "out" / "my atlas.sqlite"
    copy(measured, path)
    with sqlite3.connect(path) as connection:
        yield connection, path


def test_scalars_are_the_same_as_in_the_catalogue(measured, copied):
    connection, _ = copied
    for sql in (
        "SELECT plate_id, title, width, height, luminance_mean, is_current FROM plates ORDER BY plate_id",
        "SELECT plate_id, segment_id, class_name, area_px, area_ratio FROM segments ORDER BY plate_id, segment_id",
        "SELECT instrument, plate_count FROM seconds ORDER BY instrument",
    ):
        with connect(measured) as catalogue:
            expected = catalogue.execute(sql).fetchall()
        assert connection.execute(sql).fetchall() == expected != []


def test_nested_values_are_json_and_times_are_iso_8601(copied):
    connection, _ = copied
    policy, mean, created_at = connection.execute(
        "SELECT colour_policy, mean_rgb, created_at FROM plates WHERE plate_id = 'plate-001'"
    ).fetchone()
    assert json.loads(policy)["name"] == "srgb8-v2"
    assert len(json.loads(mean)) == 3
    assert connection.execute("SELECT julianday(?) - julianday('now') BETWEEN -1 AND 1", [created_at]).fetchone() == (
        1,
    )


def test_tables_are_linked_to_their_plate(copied):
    connection, _ = copied
    links = {row[2:5] for row in connection.execute("PRAGMA foreign_key_list(segments)")}
    assert links == {("plates", "plate_id", "plate_id")}
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_vectors_masks_and_histograms_are_left_out_and_nothing_else(measured, copied):
    connection, _ = copied
    left_out = {}
    with connect(measured) as catalogue:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = catalogue.execute(f"SELECT * FROM {name} LIMIT 0").description
            kept = {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
            left_out[name] = {column[0] for column in columns} - kept
    assert {name: columns for name, columns in left_out.items() if columns} == {
        "embeddings": {"vector"},
        "histograms": {"red", "green", "blue", "luminance", "lab"},
        "kept_segments": {"mask_rle"},
        "region_outlines": {"multipolygon"},
        "regions": {"mask_rle", "multipolygon"},
        "segments": {"mask_rle"},
        "tagged_segments": {"mask_rle"},
    }


def test_every_column_of_the_copy_has_its_meaning_for_datasette(copied):
    connection, path = copied
    metadata = json.loads(path.with_name("my atlas.sqlite.metadata.json").read_text(encoding="utf-8"))
    (tables,) = (one["tables"] for name, one in metadata["databases"].items() if name == "my atlas")
    assert tables["plates"]["label_column"] == "title"
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
        assert set(tables[name]["columns"]) == columns
        assert all([tables[name]["description"], *tables[name]["columns"].values()]), name


def test_a_copy_is_replaced_whole_and_leaves_no_other_file(measured, tmp_path):
    path = tmp_path / "atlas.sqlite"
    copy(measured, path)
    first = path.read_bytes()
    path.write_bytes(b"not a database")
    copy(measured, path)
    assert path.read_bytes()[:16] == first[:16] == b"SQLite format 3\0"
    assert {one.name for one in tmp_path.glob("*atlas.sqlite*")} == {"atlas.sqlite", "atlas.sqlite.metadata.json"}


def test_the_command_says_how_to_browse_the_copy(measured, tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(measured.root))
    result = CliRunner().invoke(app, ["export-sqlite", str(tmp_path / "it's.sqlite")])
    assert result.exit_code == 0
    assert "browse it: datasette '" in result.output


def test_a_dataset_without_a_catalogue_names_the_command_that_builds_it(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    result = CliRunner().invoke(app, ["export-sqlite", str(tmp_path / "atlas.sqlite")])
    assert (result.exit_code, list(tmp_path.glob("*.sqlite*"))) == (1, [])
    assert "is not there yet. Build it: atlas run" in result.output


def test_a_file_in_the_dataset_is_refused(measured, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(measured.root))
    result = CliRunner().invoke(app, ["export-sqlite", str(measured.root / "atlas.sqlite")])
    assert (result.exit_code, list(measured.root.glob("*.sqlite*"))) == (1, [])
    assert "expected a folder outside the dataset" in result.output


def test_rows_of_withdrawn_plates_and_runs_are_left_out(measured, tmp_path):
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    withdrawn(measured, "plate", "plate-002")
    (segmented,) = set(read_ledger(measured, RUNS).filter(instrument=SEGMENTER)["run_id"])
    withdrawn(measured, "run", segmented)
    build_ledgers(measured, registry)
    build_catalogue(measured, registry)
    copy(measured, tmp_path / "out.sqlite")
    with sqlite3.connect(tmp_path / "out.sqlite") as connection:
        found = {
            table: [row[0] for row in connection.execute(f"SELECT plate_id FROM {table} ORDER BY 1")]
            for table in ("plates", "segments", "embeddings")
        }
        entries = connection.execute("SELECT count(*) FROM withdrawals").fetchone()
    kept = ["plate-001", "plate-003", "plate-004", "plate-005"]
    assert found == {"plates": kept, "segments": [], "embeddings": kept}
    assert entries == (2,)
