"""`atlas why`: where an instrument's result on a plate, a row of it, or the plate's groundwork comes from."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from atlas_assets.cli.output import console, fail, open_dataset
from atlas_assets.cli.provenance.answers import Row, as_json, ask, message_of
from atlas_assets.cli.provenance.tree import draw

if TYPE_CHECKING:
    import duckdb

    from atlas_resources.instruments.registry import Registry

GROUNDWORK = "groundwork"
OF_GROUNDWORK = {GROUNDWORK: "", "plate/input_image": "plates", "plate/input_color_histograms": "histograms"}
"""Names of the groundwork, and the table that each is asked for; empty for both."""
UNCUT = 1000
"""Columns of a line where there is no terminal: nothing is broken, so that it can be searched."""
_JSON_COLUMNS = ("preprocessing", "parameters", "packages")


@dataclass(frozen=True)
class _Asked:
    """What is explained: an instrument's key or `groundwork`, one table of the groundwork, one row."""

    key: str
    table: str = ""
    row: str | None = None


def why(
    plate: Annotated[str, typer.Argument(help="Id of the plate.")],
    asset: Annotated[
        str,
        typer.Argument(
            help="The asset (embeddings/clip_vit_large_patch14), the instrument's key, or `groundwork`. Add "
            "#mask-0002 for one row: a segment, tile, label, box, or column of the groundwork."
        ),
    ],
    is_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON, with whole digests.")] = False,
) -> None:
    """Show where a result comes from, step by step back to the scan, in the words of W3C PROV.

    Examples: `atlas why plate-001 embeddings/efficientnet_lite0`, `atlas why plate-001 'otsu_luma#mask-0002'`,
    `atlas why plate-001 'groundwork#dominant_colours'`. Every digest is the one recorded when the run was sealed; what
    was not recorded is not shown. `atlas affected-by DIGEST` asks the other way.

    The exit code is 1 if the plate has no current result of the asset.
    """
    import duckdb

    from atlas_resources.catalogue.build import connect
    from atlas_resources.instruments.registry import read_registry

    try:
        with connect(open_dataset()) as connection:
            asked = _resolve(connection, read_registry(), asset)
            query = "FROM why(?, ?, row_key := ?) WHERE table_name = ? OR ? = ''"
            rows = ask(connection, query, plate, asked.key, asked.row, asked.table, asked.table)
            if not rows:
                raise fail(_no_result(connection, plate, asked.key))
            files = [f"{plate}/{row['output_path']}" for row in rows]
            edges = {file: ask(connection, "FROM lineage_of(?)", file) for file in files}
            runs = ask(connection, "FROM runs WHERE plate_id = ?", plate)
    except (FileNotFoundError, duckdb.Error) as error:
        raise fail(message_of(error)) from None
    if is_json:
        _print_json(plate, asked, rows, edges)
        return
    shown = console if console.is_terminal else Console(emoji=False, width=UNCUT)
    for row, file in zip(rows, files, strict=True):
        shown.print(draw(_title(plate, row), file, edges[file], row, runs))


def _resolve(connection: "duckdb.DuckDBPyConnection", registry: "Registry", asset: str) -> _Asked:
    """The instrument and row that an asset's name asks for. Raises Exit, naming near names, for an unknown asset."""
    from atlas_assets.graph.instruments import asset_key

    name, _, row = asset.partition("#")
    if name in OF_GROUNDWORK:
        return _Asked(GROUNDWORK, OF_GROUNDWORK[name], row or None)
    keys = {asset_key(instrument).to_user_string(): key for key, instrument in registry.instruments.items()}
    for found in ask(connection, "SELECT DISTINCT instrument, role FROM runs"):  # those whose spec is gone
        keys.setdefault(found["instrument"], found["instrument"])
    keys |= {key: key for key in registry.instruments}
    if name not in keys:
        (near,) = ask(connection, "SELECT did_you_mean(?, ?) AS text", name, [*sorted(keys), *OF_GROUNDWORK])
        raise fail(f"no asset or instrument {name!r}.{near['text']} `atlas models list` shows the instruments")
    return _Asked(keys[name], row=row or None)


def _no_result(connection: "duckdb.DuckDBPyConnection", plate: str, key: str) -> str:
    """Why there is nothing to explain, and the command that makes it."""
    query = "FROM failures WHERE plate_id = ? AND coalesce(instrument, kind) = ? ORDER BY failed_at DESC LIMIT 1"
    for failure in ask(connection, query, plate, key):
        return (
            f"{plate} has no current result of {key}: it failed ({failure['stage']}): {failure['message']}. "
            f"Fix: {failure['fix']}"
        )
    return f"{plate} has no current result of {key}. Fix: atlas run @{key} --plates {plate}"


def _title(plate: str, row: Row) -> str:
    what = f"row {row['row_id']}" if row["row_id"] else f"{row['row_count']} row{'s' * (row['row_count'] != 1)}"
    licence = f", licence {row['licence']}" if row["licence"] else ""
    return f"{plate}, {row['instrument']}: {what} of {row['table_name']}{licence}"


def _print_json(plate: str, asked: _Asked, rows: list[Row], edges: dict[str, list[Row]]) -> None:
    results: list[dict[str, Any]] = []
    for row, lineage in zip(rows, edges.values(), strict=True):
        parsed = {name: json.loads(row[name]) if row[name] else None for name in _JSON_COLUMNS}
        results.append({**row, **parsed, "lineage": lineage})
    typer.echo(as_json({"plate_id": plate, "instrument": asked.key, "row_id": asked.row, "results": results}))
