"""Vectors as other tools open them: a row per plate, in columns that DuckDB, Polars, pyarrow and pandas read."""

import json
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.licensed import license_plates
from support.made_results import GivenVectors, build_ledgers, measure
from support.made_withdrawals import withdrawn
from support.validators import needs_validators, run_offline
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_resources.export.tables.embeddings import export_embeddings
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.topology.spaces import NEIGHBOURS

VECTORS = GivenVectors({f"plate-00{number}": (3.0, 4.0, float(number)) for number in range(1, 6)})


@pytest.fixture
def measured(dataset, fakes) -> Dataset:
    """Five plates in the public domain, two with a year; their vectors are 3, 4 and the plate's number."""
    license_plates(dataset, "CC0")
    license_plates(dataset, "CC0", "plate-003", year=1827)
    license_plates(dataset, "CC0", "plate-004", year="c. 1830-1838")
    measure(dataset, fake_registry(fake_spec(EMBEDDER)), EMBEDDER, VECTORS)
    return built(dataset)


def built(dataset: Dataset) -> Dataset:
    build_ledgers(dataset, fake_registry(fake_spec(EMBEDDER)))
    return dataset


def write_coordinates(dataset: Dataset, *methods: str) -> None:
    """A ledger of coordinates, in which plate-00n is at (n, -n), times the number of the method."""
    rows = [
        {"space": EMBEDDER, "method": method, "plate_id": f"plate-00{n}", "x": n * times, "y": -n * times}
        for times, method in enumerate(methods, start=1)
        for n in range(1, 6)
    ]
    schema = {"space": pl.String, "method": pl.String, "plate_id": pl.String, "x": pl.Float64, "y": pl.Float64}
    pl.DataFrame(rows, schema=schema).write_parquet(dataset.ledger_dir / "coordinates.parquet")


def test_each_plate_is_a_row_with_its_title_year_licence_and_vector(measured, tmp_path):
    done = export_embeddings(measured, tmp_path / "out.parquet", EMBEDDER)
    assert (done.rows_count, done.vector_dim, done.left_out) == (5, 3, [])
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert table["plate_id"].to_list() == [f"plate-00{number}" for number in range(1, 6)]
    assert table["title"].to_list() == [measured.plate(one).manifest().title for one in table["plate_id"]]
    assert table["year"].to_list() == [None, None, 1827, 1830, None]
    assert table["licence"].to_list() == ["CC0"] * 5
    assert table.schema["vector"] == pl.Array(pl.Float32, 3)
    assert table["vector"].to_list() == [[3.0, 4.0, float(number)] for number in range(1, 6)]


def test_duckdb_and_pyarrow_read_the_same_vectors(measured, tmp_path):
    path = tmp_path / "out.parquet"
    export_embeddings(measured, path, EMBEDDER)
    assert pq.read_schema(path).field("vector").type == pa.list_(pa.float32(), 3)
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT plate_id, list_sum(vector) FROM '{path}' ORDER BY 1").fetchall()
    assert rows == [(f"plate-00{number}", 7.0 + number) for number in range(1, 6)]


@needs_validators
def test_pandas_reads_the_same_vectors(measured, tmp_path):
    export_embeddings(measured, tmp_path / "out.parquet", EMBEDDER)
    program = """
import json, sys
import pandas
print(json.dumps([list(map(float, vector)) for vector in pandas.read_parquet(sys.argv[1]).vector]))
"""
    assert json.loads(run_offline(program, tmp_path / "out.parquet")) == [[3.0, 4.0, n] for n in range(1, 6)]


def test_neighbours_are_row_numbers_and_cosine_distances_the_nearest_first(measured, tmp_path):
    export_embeddings(measured, tmp_path / "out.parquet", EMBEDDER)
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert not read_ledger(measured, NEIGHBOURS).is_empty()
    vectors = np.array(table["vector"].to_list())
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 1 - unit @ unit.T
    for number, near in enumerate(table["neighbors"].to_list()):
        others = [one for one in np.argsort(distances[number]) if one != number]
        assert near["ids"] == others
        assert near["distances"] == pytest.approx(distances[number][others], abs=1e-6)


def test_coordinates_are_those_of_umap_or_of_the_method_that_is_asked_for(measured, tmp_path):
    path = tmp_path / "out.parquet"
    write_coordinates(measured)
    assert export_embeddings(measured, path, EMBEDDER).method is None
    assert not {"x", "y"} & set(pl.read_parquet(path).columns)
    write_coordinates(measured, "pca", "umap")
    assert export_embeddings(measured, path, EMBEDDER).method == "umap"
    assert pl.read_parquet(path).select("x", "y").rows() == [(2.0 * n, -2.0 * n) for n in range(1, 6)]
    assert export_embeddings(measured, path, EMBEDDER, method="pca").method == "pca"
    assert pl.read_parquet(path).select("x", "y").rows() == [(1.0 * n, -1.0 * n) for n in range(1, 6)]
    with pytest.raises(LookupError, match=r"no coordinates of .* by 'tsne'\. There are coordinates by: pca, umap"):
        export_embeddings(measured, path, EMBEDDER, method="tsne")


def test_withdrawn_and_withheld_plates_are_left_out_and_named(measured, tmp_path):
    license_plates(measured, "CC BY-NC 4.0", "plate-003")
    withdrawn(measured, "plate", "plate-002")
    done = export_embeddings(built(measured), tmp_path / "out.parquet", EMBEDDER, commercial=True)
    assert done.left_out == [
        "1 plate with all rows: withdrawn",
        "1 plate with all rows: its licence, CC BY-NC 4.0, forbids commercial use",
    ]
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert table["plate_id"].to_list() == ["plate-001", "plate-004", "plate-005"]
    assert {one for near in table["neighbors"].to_list() for one in near["ids"]} <= {0, 1, 2}
    stated = json.loads((pq.read_metadata(tmp_path / "out.parquet").metadata or {})[b"atlas"])
    assert (stated["instrument"], stated["left_out"]) == (EMBEDDER, done.left_out)


def test_an_instrument_without_vectors_names_those_that_have_some(measured, tmp_path):
    with pytest.raises(
        LookupError, match=rf"no current vectors of plates by 'dino'\. There are vectors of: {EMBEDDER}"
    ):
        export_embeddings(measured, tmp_path / "out.parquet", "dino")


def test_the_command_says_how_to_look_at_them(measured, tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(measured.root))
    write_coordinates(measured, "pca")
    path = Path(tmp_path / "it's.parquet")
    done = CliRunner().invoke(app, ["export-embeddings", EMBEDDER, str(path)])
    assert done.exit_code == 0, done.output
    said = done.output.replace("\n", "")
    assert "5 plates, vectors of 3 numbers" in said
    assert "--text title --vector vector --x x --y y --neighbors neighbors" in said
    inside = CliRunner().invoke(app, ["export-embeddings", EMBEDDER, str(measured.root / "out.parquet")])
    assert inside.exit_code == 1
