"""Export of one instrument's vectors as a Parquet file for tools that show vectors: a row per plate, with its title.

The columns are those that `embedding-atlas` takes: `--vector vector`, `--x x --y y` and `--neighbors neighbors`
(https://apple.github.io/embedding-atlas/tool.html).
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from atlas_resources.export._destination import require_outside
from atlas_resources.export.left_out import (
    LeftOut,
    LeftOutPlate,
    Withdrawn,
    count_left_out,
    plate_sentences,
    plates_left_out,
    require_ledger,
    require_present_entries,
    withdrawn_from,
)
from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.ledgers.terms import allowed_rows, withheld_plates, withheld_rows
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import MODELS, PLATES, RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.topology.spaces import NEIGHBOURS

COORDINATES_NAME = "coordinates.parquet"
COORDINATES = ("space", "method", "plate_id", "x", "y")
"""Columns of the ledger of coordinates, a plate's place on a map of a space, if the dataset has one."""
PREFERRED_METHOD = "umap"
METADATA_KEY = "atlas"
YEAR = r"\b([0-9]{4})\b"
"""The first year that the index's column `year` states, as in 1827-1838."""


@dataclass(frozen=True)
class WrittenEmbeddings:
    """What was written.

    Attributes:
        rows_count: plates.
        vector_dim: length of the vectors.
        method: of the coordinates; None if the dataset has none of this instrument.
        has_neighbours: whether the dataset has neighbours of this instrument.
        left_out: what was left out, and why, a line each.
    """

    rows_count: int
    vector_dim: int
    method: str | None
    has_neighbours: bool
    left_out: list[str]


def export_embeddings(
    dataset: Dataset, path: Path, instrument: str, *, method: str | None = None, commercial: bool = False
) -> WrittenEmbeddings:
    """Writes the current whole-plate vectors of an instrument to a Parquet file, atomically.

    Its columns are plate_id, title, year (the first that the index states), licence, credit, vector (float32 list of
    fixed size, raw), and where the dataset has them x and y, and neighbors: row numbers and cosine distances.

    Args:
        dataset: the dataset.
        path: the file, outside the dataset.
        instrument: key of an embedding instrument.
        method: method of the coordinates; by default umap, or else the first by name.
        commercial: leave out rows that are not known to allow commercial use.

    Raises:
        FileNotFoundError: a ledger is missing.
        LookupError: there are no vectors of the instrument, or no coordinates by the method.
        ValueError: the file is inside the dataset, or the ledgers are behind the withdrawals or tags.
    """
    require_outside(dataset, path)
    plates, models = require_ledger(dataset, PLATES), require_ledger(dataset, MODELS)
    require_present_entries(dataset)
    all_rows = require_ledger(dataset, INSTRUMENT_TABLES["embedding"]).filter(scope="plate", instrument=instrument)
    current = all_rows.filter("is_current")
    if current.is_empty():
        raise LookupError(_no_vectors(dataset, instrument))
    left_out: list[LeftOut] = []
    withheld: list[LeftOutPlate] = []
    rows = current
    if commercial:
        withheld = [one for one in plates_left_out(dataset) if one.plate_id in set(current["plate_id"])]
        usable = current.join(withheld_plates(plates), on="plate_id", how="anti")
        left_out = count_left_out("embeddings", withheld_rows(usable, models, plates), models)
        rows = allowed_rows(current, models, plates)
    withdrawn = _withdrawn(dataset, plates, instrument)
    sentences = [*withdrawn.sentences, *plate_sentences(withheld), *(one.sentence for one in left_out)]
    if rows.is_empty():
        raise LookupError(f"{instrument}: no vector may leave. Left out: {'; '.join(sentences)}")
    vector_dim = rows["vector"].list.len()[0]
    points, used = _coordinates(dataset, instrument, method)
    table = _table(rows, plates, vector_dim)
    if points is not None:
        table = table.join(points, on="plate_id", how="left", maintain_order="left")
    neighbours = _neighbours(table["plate_id"], read_ledger(dataset, NEIGHBOURS).filter(space=instrument))
    if neighbours is not None:
        table = table.with_columns(neighbours)
    _write(table, path, rows, used, sentences)
    return WrittenEmbeddings(table.height, vector_dim, used, neighbours is not None, sentences)


def _no_vectors(dataset: Dataset, instrument: str) -> str:
    known = require_ledger(dataset, INSTRUMENT_TABLES["embedding"]).filter("is_current", scope="plate")["instrument"]
    there = ", ".join(known.unique().sort()) or "none"
    return (
        f"{dataset.ledger_dir}: no current vectors of plates by {instrument!r}. There are vectors of: {there}. "
        f"Make them: atlas run 'key:\"embeddings/{instrument}\"', then atlas run @ledgers"
    )


def _withdrawn(dataset: Dataset, plates: pl.DataFrame, instrument: str) -> Withdrawn:
    """What is withdrawn of the instrument's results."""
    runs = require_ledger(dataset, RUNS).filter(instrument=instrument)
    measured = plates.join(runs, on="plate_id", how="semi")
    return withdrawn_from({PLATES.name: measured, RUNS.name: runs})


def _table(rows: pl.DataFrame, plates: pl.DataFrame, vector_dim: int) -> pl.DataFrame:
    """A row per plate, in the order of the plates."""
    year = pl.col("extra").str.json_path_match("$.year").str.extract(YEAR).cast(pl.Int32)
    facts = plates.select(
        "plate_id", "title", year.alias("year"), pl.coalesce("licence", "rights_uri").alias("licence"),
        pl.col("attribution").alias("credit"),
    )  # fmt: skip
    vectors = rows.select("plate_id", pl.col("vector").cast(pl.Array(pl.Float32, vector_dim)))
    return facts.join(vectors, on="plate_id").sort("plate_id")


def _coordinates(dataset: Dataset, instrument: str, method: str | None) -> tuple[pl.DataFrame | None, str | None]:
    """Each plate's x and y by a method, and the method; neither if the dataset has no coordinates of the instrument."""
    path = dataset.ledger_dir / COORDINATES_NAME
    found = pl.read_parquet(path, columns=list(COORDINATES)).filter(space=instrument) if path.is_file() else None
    methods = [] if found is None else sorted(found["method"].unique())
    if method is not None and method not in methods:
        there = ", ".join(methods) or "none"
        raise LookupError(f"{path}: no coordinates of {instrument} by {method!r}. There are coordinates by: {there}")
    if found is None or not methods:
        return None, None
    used = method or (PREFERRED_METHOD if PREFERRED_METHOD in methods else methods[0])
    return found.filter(method=used).select("plate_id", "x", "y"), used


def _neighbours(plate_ids: pl.Series, neighbours: pl.DataFrame) -> pl.Series | None:
    """The neighbours of each plate that are in the file, the nearest first: row numbers from 0, and 1 - cosine."""
    if neighbours.is_empty():
        return None
    numbers = pl.DataFrame({"neighbour_id": plate_ids, "number": range(plate_ids.len())})
    known = neighbours.join(numbers, on="neighbour_id").sort("plate_id", "rank")
    grouped = known.group_by("plate_id", maintain_order=True).agg(
        ids=pl.col("number").cast(pl.Int64), distances=1 - pl.col("cosine")
    )
    joined = plate_ids.to_frame().join(grouped, on="plate_id", how="left", maintain_order="left")
    empty = joined.with_columns(pl.col("ids").fill_null([]), pl.col("distances").fill_null([]))
    return empty.select(pl.struct("ids", "distances").alias("neighbors")).to_series()


def _write(table: pl.DataFrame, path: Path, rows: pl.DataFrame, method: str | None, left_out: list[str]) -> None:
    """Writes the table. The file's metadata names the instrument, its terms, the method and what was left out."""
    first = rows.row(0, named=True)
    names = ("instrument", "model_id", "model_sha", "weights_sha256", "fingerprint", "preprocess_tag", "licence")
    stated = {**{name: first[name] for name in names}, "coordinates_method": method, "left_out": left_out}
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd", metadata={METADATA_KEY: json.dumps(stated, ensure_ascii=False)})
    write_bytes_atomically(path, buffer.getvalue())
