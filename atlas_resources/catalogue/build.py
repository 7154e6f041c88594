"""Builds `atlas.duckdb` from the ledgers, and opens it."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from atlas_resources.catalogue import detections
from atlas_resources.catalogue._view import View, create, create_macro, identifier, literal, meanings, rows_of
from atlas_resources.catalogue.changes.built_from import (
    BuiltFrom,
    LedgerState,
    definition_sha256,
    read_built_from,
    read_ledger_states,
    write_built_from,
)
from atlas_resources.catalogue.changes.replacing import replace_changed
from atlas_resources.catalogue.commercial import commercial_views
from atlas_resources.catalogue.macros import colours, lineage, neighbours, texts, topology
from atlas_resources.catalogue.macros.as_of import AS_OF
from atlas_resources.catalogue.macros.current_graphs import CURRENT_GRAPHS
from atlas_resources.catalogue.macros.provenance import WHY
from atlas_resources.catalogue.macros.refusals import DID_YOU_MEAN
from atlas_resources.catalogue.plate_index import index_columns, plate_index
from atlas_resources.catalogue.run_views import FAILURES, LATEST_REPRODUCTIONS, SECONDS, SERVERS
from atlas_resources.catalogue.segment_flags import SEGMENT_SET_FLAGS
from atlas_resources.catalogue.tags import TAGGED_CLUSTERS, tag_views
from atlas_resources.catalogue.texts import stages
from atlas_resources.catalogue.texts.candidates import STAGE_CANDIDATES
from atlas_resources.catalogue.texts.titles import TITLE_CONFLICTS
from atlas_resources.catalogue.views import HISTOGRAM_BINS, REGIONS, instrument_views
from atlas_resources.files.durable import sweep_leftovers, sync_folder
from atlas_resources.files.stated_digests import part_paths, state_digest, stated_digest
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import LEDGERS

if TYPE_CHECKING:
    import duckdb

STORAGE_VERSION = "v1.2.0"
"""Version of DuckDB's storage format that the file is written in: DuckDB 1.2 and later open it. The SQL of views and
macros must be in the dialect of that version too."""
MOST_GROWTH = 2
"""The catalogue is built whole again once it is as many times as large as when it last was."""
MOST_WITHOUT_ROWS = 4
_WITHOUT_ROWS: dict[str, bytes] = {}
"""Catalogues without rows, some 5 MB each, by what is in them."""
MACROS = (
    DID_YOU_MEAN,
    *neighbours.MACROS,
    WHY,
    *lineage.MACROS,
    *colours.MACROS,
    *texts.MACROS,
    *topology.MACROS,
    AS_OF,
)
"""Every macro; one that calls another comes after it."""


def _tables(dataset: Dataset) -> Iterator[View]:
    for name, table in LEDGERS.items():
        yield View(name, f"SELECT * FROM {rows_of(ledger_path(dataset, table))}", table.meaning, meanings(table))


def views_of(registry: Registry) -> Iterator[View]:
    """Every view but `plate_index`, which depends on the rows, and those over topology, which a snapshot lacks."""
    yield from (FAILURES, SECONDS, SERVERS, LATEST_REPRODUCTIONS, HISTOGRAM_BINS, REGIONS)
    yield from instrument_views(registry)
    yield from commercial_views()
    yield from (SEGMENT_SET_FLAGS, detections.COUNTS, detections.RELATIONS, TITLE_CONFLICTS)
    yield from (*stages.VIEWS, STAGE_CANDIDATES)
    yield from tag_views()


def _fill(connection: "duckdb.DuckDBPyConnection", tables: Iterable[View], views: Iterable[View]) -> None:
    connection.execute("BEGIN")  # a commit per comment would take longer than the comments
    for table in (*tables, CURRENT_GRAPHS):
        create(connection, table, "TABLE")
    for view in views:
        create(connection, view)
    for macro in MACROS:
        create_macro(connection, macro)
    connection.execute("COMMIT")
    connection.execute("CHECKPOINT")


def _views(registry: Registry, index: View) -> Iterator[View]:
    yield from (index, *views_of(registry), TAGGED_CLUSTERS)


def _replace(
    connection: "duckdb.DuckDBPyConnection", dataset: Dataset, before: BuiltFrom | None, now: Mapping[str, LedgerState]
) -> None:
    """Replaces the rows that changed in a copy of the present catalogue, or fills one without rows."""
    connection.execute("BEGIN")
    replace_changed(connection, dataset, before.parts if before else {}, now)
    connection.execute(f"DROP TABLE {identifier(CURRENT_GRAPHS.name)}")
    create(connection, CURRENT_GRAPHS, "TABLE")
    connection.execute("COMMIT")
    connection.execute("CHECKPOINT")


def build_catalogue(dataset: Dataset, registry: Registry) -> Path:
    """Builds the catalogue from the ledgers: documented tables, views and macros.

    Copies the present catalogue and replaces the rows of what changed. It is built whole if there is none, if anything
    but rows differs, or once rows that were replaced have doubled its size.

    The new file replaces the old one whole, once it was opened and every view in it was bound. An open connection
    keeps the file it opened. What somebody wrote into the old file is lost, its write-ahead log too.

    Raises:
        FileNotFoundError: a ledger is missing.
        duckdb.Error: a view or macro is not valid SQL.
    """
    import duckdb

    missing = [name for name, table in LEDGERS.items() if not part_paths(ledger_path(dataset, table))]
    if missing:
        fix = "atlas run @ledgers"
        raise FileNotFoundError(f"{dataset.ledger_dir}: no ledger yet of {', '.join(missing)}. Build them: {fix}")
    path = dataset.catalogue_path
    sweep_leftovers(path.parent)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    index, now = plate_index(index_columns(dataset)), read_ledger_states(dataset)
    version = f"{duckdb.__version__} {STORAGE_VERSION}"
    definition = definition_sha256(version, (*_tables(dataset), CURRENT_GRAPHS), _views(registry, index), MACROS)
    built = read_built_from(dataset)
    if built and (built.definition_sha256 != definition or path.stat().st_size > MOST_GROWTH * built.whole_size_bytes):
        built = None
    try:
        if built:
            shutil.copyfile(path, partial)
        else:
            partial.write_bytes(_without_rows(dataset, definition, _views(registry, index)))
        with duckdb.connect() as connection:
            _attach(connection, partial)
            _replace(connection, dataset, built, now)
        _require_readable(partial)
        _write_ahead_log(path).unlink(missing_ok=True)  # of the old file: DuckDB would apply it to the new one
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
        _write_ahead_log(partial).unlink(missing_ok=True)
    _write_ahead_log(path).unlink(missing_ok=True)  # of a session that wrote to the old file until now
    sync_folder(path.parent)
    state_digest(path)
    _remember(dataset, built, definition, now)
    return path


def _attach(connection: "duckdb.DuckDBPyConnection", path: Path) -> None:
    connection.execute(f"ATTACH {literal(str(path))} AS atlas (STORAGE_VERSION {literal(STORAGE_VERSION)})")
    connection.execute("USE atlas")


def _without_rows(dataset: Dataset, definition: str, views: Iterable[View]) -> bytes:
    """A catalogue without rows, which is made once in this process: comments take most of the time.

    Args:
        dataset: the dataset.
        definition: a digest of all that is in it.
        views: the views.
    """
    import duckdb

    schemas = [pl.read_parquet_schema(part_paths(ledger_path(dataset, table))[0]) for table in LEDGERS.values()]
    key = f"{definition} {schemas}"
    if key not in _WITHOUT_ROWS:
        with tempfile.TemporaryDirectory(prefix="atlas-catalogue-") as folder, duckdb.connect() as connection:
            path = Path(folder) / "atlas.duckdb"
            _attach(connection, path)
            _fill(connection, (replace(view, sql=f"{view.sql} LIMIT 0") for view in _tables(dataset)), views)
            connection.execute("USE memory")
            connection.execute("DETACH atlas")
            _WITHOUT_ROWS[key] = path.read_bytes()
        if len(_WITHOUT_ROWS) > MOST_WITHOUT_ROWS:
            del _WITHOUT_ROWS[next(iter(_WITHOUT_ROWS))]
    return _WITHOUT_ROWS[key]


def _remember(dataset: Dataset, before: BuiltFrom | None, definition: str, now: Mapping[str, LedgerState]) -> None:
    """Keeps what the catalogue was built from, for the next build."""
    whole = before.whole_size_bytes if before else dataset.catalogue_path.stat().st_size
    if digest := stated_digest(dataset.catalogue_path):
        known = BuiltFrom(digest, definition, whole, {name: state.parts for name, state in now.items()})
        write_built_from(dataset.root, known, before, now)


def empty_catalogue(registry: Registry) -> "duckdb.DuckDBPyConnection":
    """A catalogue without rows, in memory: every table, view and macro with its comments."""
    import duckdb

    connection = duckdb.connect()
    given = {name: f"rows of {name}" for name in LEDGERS}
    for name, table in LEDGERS.items():
        connection.register(given[name], table.schema.to_frame().to_arrow())
    tables = (
        View(name, f"FROM {identifier(given[name])}", one.meaning, meanings(one)) for name, one in LEDGERS.items()
    )
    _fill(connection, tables, _views(registry, plate_index([])))
    for name in given.values():
        connection.unregister(name)
    return connection


def _write_ahead_log(path: Path) -> Path:
    """Where DuckDB keeps what a session wrote and did not yet move into the file; a killed session leaves it."""
    return path.with_name(f"{path.name}.wal")


def _require_readable(path: Path) -> None:
    """Opens a catalogue as a reader does, and binds every table and view.

    Raises:
        duckdb.Error: it cannot be opened, or a view cannot be bound.
    """
    import duckdb

    query = "SELECT table_name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal"
    with duckdb.connect(str(path), read_only=True) as connection:
        for (name,) in connection.execute(query).fetchall():
            connection.execute(f"SELECT * FROM {identifier(name)} LIMIT 0")


def differing_tables(dataset: Dataset) -> list[str]:
    """The names of the tables whose rows differ from those of their ledgers. Reads all of both.

    Raises:
        duckdb.Error: the catalogue or a ledger cannot be read.
    """
    differing = []
    with connect(dataset) as connection:
        for view in _tables(dataset):
            ledger = f"({view.sql})"
            both = (
                f"(FROM {identifier(view.name)} EXCEPT ALL FROM {ledger})",
                f"(FROM {ledger} EXCEPT ALL FROM {identifier(view.name)})",
            )
            counts = [connection.execute(f"SELECT count(*) FROM {side}").fetchone() for side in both]
            differing += [view.name] if any(count and count[0] for count in counts) else []
    return differing


def connect(dataset: Dataset) -> "duckdb.DuckDBPyConnection":
    """Opens the catalogue read-only.

    Raises:
        FileNotFoundError: there is none; the message names the command that builds it.
    """
    import duckdb

    if not dataset.catalogue_path.is_file():
        raise FileNotFoundError(f"{dataset.catalogue_path} is not there yet. Build it: atlas run")
    return duckdb.connect(str(dataset.catalogue_path), read_only=True)
