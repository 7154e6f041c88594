"""`atlas query`: questions to the catalogue in SQL."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, counted, fail, open_dataset, warn

if TYPE_CHECKING:
    import duckdb


def query(
    sql: Annotated[
        str,
        typer.Argument(help="A query. Start with `SHOW TABLES`, `FROM models` or `FROM duckdb_columns()`."),
    ],
    limit: Annotated[int, typer.Option(help="Rows to show.")] = 40,
    snapshot: Annotated[
        str | None,
        typer.Option(help="Answer as the library stood in this snapshot; `now.runs` is then the present table."),
    ] = None,
) -> None:
    """Ask the catalogue in SQL and print a table."""
    import duckdb

    from atlas_resources.plates.json_files import DatasetBroken
    from atlas_resources.snapshots.files import SnapshotUnknown

    try:
        with _connect(snapshot) as connection:
            result = connection.execute(sql)
            names = [column[0] for column in result.description or []]
            rows = result.fetchmany(limit + 1)
    except duckdb.InvalidInputException as error:  # raised by error() in a macro: the text is Atlas's own
        raise fail(str(error).removeprefix("Invalid Input Error: ")) from None
    except (FileNotFoundError, SnapshotUnknown, DatasetBroken, duckdb.Error) as error:
        raise fail(str(error)) from None
    table = Table(*names)
    for row in rows[:limit]:
        table.add_row(*(cell(value) for value in row))
    console.print(table)
    if len(rows) > limit:
        console.print(f"the first {counted(limit, 'row')}; more with --limit")


def _connect(snapshot: str | None) -> "duckdb.DuckDBPyConnection":
    """The catalogue as it is, or as of a snapshot. Prints on standard error what cannot be answered as then."""
    from atlas_resources.catalogue.as_of.connection import connect_as_of
    from atlas_resources.catalogue.build import connect
    from atlas_resources.instruments.registry import read_registry

    dataset = open_dataset()
    if snapshot is None:
        return connect(dataset)
    connection, warnings = connect_as_of(dataset, read_registry(), snapshot)
    for warning in warnings:
        warn(f"as of {snapshot}: {warning}")
    return connection
