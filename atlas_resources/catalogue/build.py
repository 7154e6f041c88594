"""`atlas.duckdb`: the ledgers as documented tables, a view per instrument, and the macros analysts call.

Written beside, then renamed.
"""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from atlas_resources.catalogue.column_comments import comment_view_columns
from atlas_resources.catalogue.commercial import create_commercial_views
from atlas_resources.catalogue.detections import create_detection_views
from atlas_resources.catalogue.segment_flags import create_segment_sets
from atlas_resources.files.durable import sweep_leftovers, sync_folder
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import LEDGERS

if TYPE_CHECKING:
    import duckdb
from atlas_resources.catalogue.macros import MACROS
from atlas_resources.catalogue.views import _create_views, _text


def _create_tables(connection: "duckdb.DuckDBPyConnection", dataset: Dataset) -> None:
    for name, table in LEDGERS.items():
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet(?)", [str(ledger_path(dataset, table))])
        connection.execute(f"COMMENT ON TABLE {name} IS {_text(table.meaning)}")
        for column in table.columns:
            connection.execute(f'COMMENT ON COLUMN {name}."{column.name}" IS {_text(column.meaning)}')


def _create_macros(connection: "duckdb.DuckDBPyConnection") -> None:
    for name, (meaning, definition) in MACROS.items():
        connection.execute(definition)
        connection.execute(f"COMMENT ON MACRO TABLE {name} IS {_text(meaning)}")


def build_catalogue(dataset: Dataset, registry: Registry) -> Path:
    """Builds the catalogue from the ledgers.

    An open connection keeps the file it opened; whoever connects next sees the new one.

    Raises:
        FileNotFoundError: a ledger is missing.
    """
    import duckdb

    missing = [name for name, table in LEDGERS.items() if not ledger_path(dataset, table).is_file()]
    if missing:
        mend = """atlas run 'key:"ledger/*" or key:"catalogue"'"""
        raise FileNotFoundError(f"{dataset.ledger_dir}: no ledger yet of {', '.join(missing)}. Build them: {mend}")
    path = dataset.catalogue_path
    sweep_leftovers(path.parent)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with duckdb.connect(str(beside)) as connection:
            _create_tables(connection, dataset)
            _create_views(connection, registry)
            create_commercial_views(connection)
            create_segment_sets(connection, dataset)
            create_detection_views(connection)
            comment_view_columns(connection)
            _create_macros(connection)
            connection.execute("CHECKPOINT")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
        beside.with_name(f"{beside.name}.wal").unlink(missing_ok=True)
    sync_folder(path.parent)
    return path


def connect(dataset: Dataset) -> "duckdb.DuckDBPyConnection":
    """The catalogue, read-only. Raises FileNotFoundError, with the command that builds it, if there is none."""
    import duckdb

    if not dataset.catalogue_path.is_file():
        raise FileNotFoundError(f"{dataset.catalogue_path} is not there yet. Build it: atlas run")
    return duckdb.connect(str(dataset.catalogue_path), read_only=True)
