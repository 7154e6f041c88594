"""Ledgers and sealed results as Parquet files: where they are, reading and writing them whole."""

import os
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from atlas_resources.files.durable import sweep_leftovers, write_bytes_atomically
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.sealing import parquet_bytes
from atlas_resources.tables.ledgers import RUNS
from atlas_resources.tables.results import FILE_OF_ROLE, INSTRUMENT_TABLES
from atlas_resources.tables.table import Table

RunKey = tuple[str, str]  # (run_id, plate_id)


def ledger_path(dataset: Dataset, table: Table) -> Path:
    """The file of a ledger."""
    return dataset.ledger_dir / f"{table.name}.parquet"


def has_present_columns(dataset: Dataset, table: Table) -> bool:
    """Whether a ledger exists and has exactly the columns of its table."""
    path = ledger_path(dataset, table)
    return path.is_file() and pl.read_parquet_schema(path) == dict(table.schema)


def read_ledger(dataset: Dataset, table: Table) -> pl.DataFrame:
    """A ledger's rows; no rows if it does not exist or has other columns than its table."""
    if has_present_columns(dataset, table):
        return pl.read_parquet(ledger_path(dataset, table))
    return table.schema.to_frame()


def write_ledger(dataset: Dataset, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Replaces the ledger atomically. Returns the rows as written: in the table's columns and order."""
    conformed = table.conform(rows)
    sweep_leftovers(dataset.ledger_dir)
    write_bytes_atomically(ledger_path(dataset, table), parquet_bytes(conformed))
    return conformed


def sealed_runs(dataset: Dataset) -> set[RunKey]:
    """Every sealed run folder on disk. Lists folders and reads no file."""
    found = set()
    for plate_id in dataset.plate_ids():
        runs = dataset.plate(plate_id).runs_folder
        if runs.is_dir():
            found |= {(name, plate_id) for name in os.listdir(runs) if name.startswith("run-")}
    return found


def runs_in(rows: pl.DataFrame) -> set[RunKey]:
    """The sealed runs that rows come from."""
    return set(rows.select("run_id", "plate_id").unique().iter_rows())


def complete_runs(dataset: Dataset, role: str) -> set[RunKey]:
    """The complete runs of a role, by `ledger/runs`."""
    return runs_in(read_ledger(dataset, RUNS).filter(pl.col("status") == "complete", pl.col("role") == role))


def read_sealed_files(dataset: Dataset, role: str, keys: Iterable[RunKey]) -> pl.DataFrame:
    """The rows that runs of a role sealed, without `is_current`. A column that is younger than a file is null in it."""
    paths = [dataset.plate(plate_id).runs_folder / run_id / FILE_OF_ROLE[role] for run_id, plate_id in sorted(keys)]
    schema = INSTRUMENT_TABLES[role].sealed_schema
    return pl.read_parquet(paths, schema=schema, missing_columns="insert") if paths else schema.to_frame()


def read_sealed_rows(dataset: Dataset, role: str) -> pl.DataFrame:
    """The rows of a role's complete runs in `ledger/runs`, from the plates' own files, without `is_current`."""
    return read_sealed_files(dataset, role, complete_runs(dataset, role) & sealed_runs(dataset))
