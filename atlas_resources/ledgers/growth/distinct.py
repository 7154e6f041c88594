"""The distinct values of columns of a ledger, which are remembered for each part that does not change."""

from collections.abc import Sequence

import polars as pl

from atlas_resources.files.stated_digests import part_paths
from atlas_resources.ledgers.parquet import has_present_columns, keep, ledger_path, read_files
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.memory import memory_of
from atlas_resources.tables.table import Table


def read_distinct(dataset: Dataset, table: Table, columns: Sequence[str]) -> pl.DataFrame:
    """The distinct values of some columns of texts; none if the ledger does not exist or has other columns.

    Args:
        dataset: the dataset.
        table: the ledger's table.
        columns: the columns.
    """
    keep(dataset, table.name)
    path = ledger_path(dataset, table)
    parts = {part.relative_to(dataset.root).as_posix(): part for part in part_paths(path)}

    def read(subject: str) -> list[list[str | None]] | None:
        if not has_present_columns(dataset, table):
            return None
        return [list(row) for row in read_files([parts[subject]], table, columns).unique().iter_rows()]

    facet = f"distinct 1 {table.name}: {' '.join(columns)}"
    found = memory_of(dataset.root).look_up(facet, parts, lambda subject, known: (str(parts[subject]),), read)
    rows = [row for rows in found.values.values() for row in rows or ()]
    return pl.DataFrame(rows, schema={name: table.schema[name] for name in columns}, orient="row").unique()
