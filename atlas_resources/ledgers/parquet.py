"""Ledgers as files: Parquet tables derived from plate-local truth, read and written whole.

They grow by what is new, and a rebuild from nothing gives the same rows. How rows are made is in `plate_ledgers`,
`run_ledgers` and `models_ledger`; whether they are behind, in `ledger_freshness`.
"""

import os
from pathlib import Path

import polars as pl

from atlas_resources.files.durable import sweep_leftovers, write_bytes_atomically
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.sealing import parquet_bytes
from atlas_resources.tables.ledgers import RUNS
from atlas_resources.tables.results import FILE_OF_ROLE, INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT, Table

RunKey = tuple[str, str]  # (run_id, plate_id)


def ledger_path(dataset: Dataset, table: Table) -> Path:
    """Where a ledger lies."""
    return dataset.ledger_dir / f"{table.name}.parquet"


def has_present_columns(dataset: Dataset, table: Table) -> bool:
    """Whether a ledger was built, with the columns of today."""
    path = ledger_path(dataset, table)
    return path.is_file() and pl.read_parquet_schema(path) == dict(table.schema)


def read_ledger(dataset: Dataset, table: Table) -> pl.DataFrame:
    """A ledger's rows; none if it has not been built. One with other columns than today's is as good as none."""
    if has_present_columns(dataset, table):
        return pl.read_parquet(ledger_path(dataset, table))
    return table.schema.to_frame()


def write_ledger(dataset: Dataset, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Puts the rows in place of the ledger, whole or not at all. Returns them as written: in its columns and order."""
    conformed = table.conform(rows)
    sweep_leftovers(dataset.ledger_dir)
    write_bytes_atomically(ledger_path(dataset, table), parquet_bytes(conformed))
    return conformed


def sealed_runs(dataset: Dataset) -> set[RunKey]:
    """Every sealed run folder on disk, by listing alone."""
    found = set()
    for plate_id in dataset.plate_ids():
        runs = dataset.plate(plate_id).runs_folder
        if runs.is_dir():
            found |= {(name, plate_id) for name in os.listdir(runs) if name.startswith("run-")}
    return found


def runs_in(rows: pl.DataFrame) -> set[RunKey]:
    """The sealed runs that rows come from."""
    return set(rows.select("run_id", "plate_id").unique().iter_rows())


def read_sealed_files(paths: list[Path], table: Table) -> pl.DataFrame:
    """The rows of sealed Parquet files, without `is_current`. A column that is younger than a file is null in it."""
    schema = pl.Schema({name: dtype for name, dtype in table.schema.items() if name != IS_CURRENT.name})
    return pl.read_parquet(paths, schema=schema, missing_columns="insert") if paths else schema.to_frame()


def read_sealed_rows(dataset: Dataset, role: str) -> pl.DataFrame:
    """The rows of a role's complete runs that `ledger/runs` knows, from the plates' own files."""
    table = INSTRUMENT_TABLES[role]
    runs = read_ledger(dataset, RUNS).filter(pl.col("status") == "complete", pl.col("role") == role)
    paths = [
        dataset.plate(plate_id).runs_folder / run_id / FILE_OF_ROLE[role]
        for run_id, plate_id in sorted(runs_in(runs) & sealed_runs(dataset))
    ]
    return read_sealed_files(paths, table)
