"""A catalogue in memory: every ledger as a table of given rows, with the project's macros."""

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from atlas_resources.catalogue._view import create, create_macro, identifier
from atlas_resources.catalogue.build import MACROS
from atlas_resources.catalogue.macros.current_graphs import CURRENT_GRAPHS
from atlas_resources.tables.ledgers import LEDGERS


def made_catalogue(**rows: Iterable[Mapping[str, Any]]) -> duckdb.DuckDBPyConnection:
    """Every ledger with the rows given for it by name; a column that a row lacks is null."""
    connection = duckdb.connect()
    for name, table in LEDGERS.items():
        frame = table.frame(rows.get(name, ())).to_arrow()
        connection.register("given", frame)
        connection.execute(f"CREATE TABLE {identifier(name)} AS FROM given")
        connection.unregister("given")
    create(connection, CURRENT_GRAPHS, "TABLE")
    for macro in MACROS:
        create_macro(connection, macro)
    return connection


def vector_row(plate_id: str, vector: Iterable[float], scope: str = "plate", **columns: Any) -> dict[str, Any]:
    """A current row of `embeddings` by the instrument `embedder`; `columns` may say otherwise."""
    numbers = list(vector)
    length = sum(number * number for number in numbers) ** 0.5
    row = {"plate_id": plate_id, "instrument": "embedder", "scope": scope, "vector": numbers, "is_current": True}
    return {**row, "vector_dim": len(numbers), "l2_norm": length, **columns}
