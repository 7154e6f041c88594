"""`atlas affected-by`: every result that depends on a weights file, scan, prompt, run, plate or instrument."""

from typing import Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, fail, open_dataset
from atlas_assets.cli.provenance.answers import Row, as_json, ask, message_of

SUMMARY = """
    SELECT min(depth) AS depth, relation, kind, instrument, table_name, count(DISTINCT plate_id) AS plates,
           sum(row_count)::BIGINT AS rows, coalesce(sum(row_count) FILTER (is_current), 0)::BIGINT AS current_rows
    FROM affected_by(?) GROUP BY relation, kind, instrument, table_name ORDER BY ALL
"""
WHAT = """
    SELECT DISTINCT object_kind AS kind, coalesce(object_name, object) AS name FROM lineage
    WHERE object = ? OR starts_with(object_sha256, ?) ORDER BY ALL
"""


def affected_by(
    digest: Annotated[
        str,
        typer.Argument(
            help="A sha256 or its first 8 or more digits (weights file, scan, prompt, sealed file, fingerprint), a "
            "commit, or the id of a run, plate or instrument."
        ),
    ],
    plates: Annotated[
        bool, typer.Option("--plates", help="A line for each plate and run, not only for each table.")
    ] = False,
    is_json: Annotated[bool, typer.Option("--json", help="Print each plate and run as JSON.")] = False,
) -> None:
    """Show every result that depends on something, by table, with the number of rows.

    Examples: `atlas affected-by 579344248a93` (a weights file), `atlas affected-by plate-001`,
    `atlas affected-by efficientnet_lite0`. Asks the macro `affected_by` of the catalogue.

    The exit code is 1 if nothing of that name is known.
    """
    import duckdb

    from atlas_resources.catalogue.build import connect

    try:
        with connect(open_dataset()) as connection:
            rows = ask(connection, "FROM affected_by(?)", digest)
            summary = ask(connection, SUMMARY, digest)
            kinds = ask(connection, WHAT, digest, digest)
    except (FileNotFoundError, duckdb.Error) as error:
        raise fail(message_of(error)) from None
    if is_json:
        typer.echo(as_json(rows))
        return
    for what in kinds:
        console.print(f"{digest}: {what['kind']} {what['name']}", markup=False, highlight=False, soft_wrap=True)
    if rows:
        _print_table(rows if plates else summary)
    results = sum(row["row_count"] for row in rows)
    current = sum(row["row_count"] for row in rows if row["is_current"])
    number = len({row["plate_id"] for row in rows})
    sentence = (
        f"{results} rows on {number} plates depend on it; {current} of them are current"
        if rows
        else "nothing depends on it"
    )
    console.print(sentence, markup=False, highlight=False)


def _print_table(rows: list[Row]) -> None:
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(cell("" if value is None else value) for value in row.values()))
    console.print(table)
