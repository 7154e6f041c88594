"""Opens the catalogue as of a snapshot: tables of then in a database in memory, with all views and macros over them."""

import json
from typing import TYPE_CHECKING

from atlas_resources.catalogue._view import View, create, create_macro, meanings
from atlas_resources.catalogue.as_of.tables import tables_then
from atlas_resources.catalogue.as_of.then import KEPT, NOW, Then
from atlas_resources.catalogue.build import MACROS, connect, views_of
from atlas_resources.catalogue.macros import neighbours, topology
from atlas_resources.catalogue.plate_index import plate_index
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.sealed import MANIFEST_NAME
from atlas_resources.snapshots.files import read_snapshot, read_snapshot_tree

if TYPE_CHECKING:
    import duckdb

BUILD = "atlas run @ledgers"
SHOWN = 5


def connect_as_of(dataset: Dataset, registry: Registry, name: str) -> tuple["duckdb.DuckDBPyConnection", list[str]]:
    """Opens the catalogue as the library stood when a snapshot was created. The present tables are in `now`.

    Args:
        dataset: the dataset.
        registry: the instruments, for the views of their own.
        name: the snapshot.

    Returns:
        A connection to a database in memory, and what could not be answered as then, a line each.

    Raises:
        SnapshotUnknown: there is no snapshot of the name; the message names the nearest.
        FileNotFoundError: there is no catalogue; the message names the command that builds it.
        DatasetBroken: the snapshot was changed.
    """
    import duckdb

    snapshot = read_snapshot(dataset, name)
    connect(dataset).close()  # which says how to build it
    then = Then(dataset, snapshot, read_snapshot_tree(dataset, snapshot), duckdb.connect())
    try:
        then.keep()
        _fill(then, registry)
    except BaseException:
        then.connection.close()
        raise
    return then.connection, then.warnings


def _fill(then: Then, registry: Registry) -> None:
    connection = then.connection
    _warn_of_missing_runs(then)
    for table, rows in tables_then(then):
        if isinstance(rows, str):
            create(connection, View(table.name, rows, table.meaning, meanings(table)))
        else:
            connection.register("given", rows.to_arrow())
            create(connection, View(table.name, "FROM given", table.meaning, meanings(table)), "TABLE")
            connection.unregister("given")
    extras = connection.execute("SELECT extra FROM plates WHERE extra IS NOT NULL").fetchall()
    for view in (plate_index([json.loads(text) for (text,) in extras]), *views_of(registry)):
        create(connection, view)
    whole = {macro.name: macro for macro in neighbours.WITHOUT_GRAPH}  # a snapshot keeps no topology
    for macro in MACROS:
        if macro not in topology.MACROS:
            create_macro(connection, whole.get(macro.name, macro))


def _warn_of_missing_runs(then: Then) -> None:
    """Names the current results of then that the present catalogue does not have."""
    missing = then.rows(
        f"SELECT plate_id, run_id FROM {KEPT}.current_runs EXCEPT SELECT plate_id, run_id FROM {NOW}.runs ORDER BY ALL"
    )
    plates = {plate_id: then.dataset.plate(plate_id) for plate_id, _ in missing}
    on_disk = [one for one in missing if (plates[one[0]].runs_folder / one[1] / MANIFEST_NAME).is_file()]
    gone = [one for one in missing if one not in on_disk]
    for some, what in (
        (gone, "results are gone since"),
        (on_disk, f"results are not in the catalogue. Build it again: {BUILD}. They are"),
    ):
        if some:
            named = ", ".join(f"{plate_id} {run_id}" for plate_id, run_id in some[:SHOWN])
            then.warnings.append(f"{len(some)} {what}: {named}{', ...' if len(some) > SHOWN else ''}")
