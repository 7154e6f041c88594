"""The `atlas` command: plates, models, runs and queries from a terminal.

Each command is a thin call; imports stand inside, so help is quick.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from atlas_assets.cli.ask import search
from atlas_assets.cli.backfill import backfill, selections
from atlas_assets.cli.export import export, export_regions
from atlas_assets.cli.models.golden import models_app
from atlas_assets.cli.models.prompts import prompts_app
from atlas_assets.cli.output import cell, console, fail, open_dataset
from atlas_assets.cli.plates import plates_app
from atlas_assets.cli.run import run, status

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Measure scanned art plates with pinned models, and keep every number traceable.

The dataset lies in **ATLAS_HOME** (default `data/atlas`). A first session:

- `atlas plates add ~/scans` registers scans; the files are copied, never altered
- `atlas run` materialises the whole graph in this process; `atlas backfill NAME` asks a running Dagster for it
- `atlas query "FROM nearest('plate-001', 'efficientnet_lite0', 5)"` asks in SQL
- `atlas ui` opens the Dagster UI, on loopback
""",
)


app.add_typer(plates_app, name="plates")


models_app.add_typer(prompts_app, name="prompts")


app.add_typer(models_app, name="models")


for command in (run, status, backfill, selections, search, export, export_regions):
    app.command()(command)


@app.command()
def query(
    sql: Annotated[
        str,
        typer.Argument(help="A query; `SHOW TABLES`, `FROM models` and `FROM duckdb_columns()` are good first ones."),
    ],
    limit: Annotated[int, typer.Option(help="Rows to show.")] = 40,
) -> None:
    """Ask the catalogue in SQL and print a table."""
    import duckdb

    from atlas_resources.catalogue.build import connect

    try:
        with connect(open_dataset()) as connection:
            result = connection.execute(sql)
            names = [column[0] for column in result.description or []]
            rows = result.fetchmany(limit + 1)
    except (FileNotFoundError, duckdb.Error) as error:
        raise fail(str(error)) from None
    table = Table(*names)
    for row in rows[:limit]:
        table.add_row(*(cell(value) for value in row))
    console.print(table)
    if len(rows) > limit:
        console.print(f"the first {limit} rows; more with --limit")


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on loopback.")] = 3000) -> None:
    """Open the Dagster UI on this dataset, on loopback, with its daemon. Nothing else can reach it."""
    import os
    import subprocess
    import sys

    from atlas_assets.graph.partitions import add_missing_partitions
    from atlas_assets.in_process import open_instance
    from atlas_resources.files.project import PROJECT_ROOT, SETTINGS_FOLDER

    dataset = open_dataset()
    with open_instance(dataset) as instance:
        add_missing_partitions(instance, dataset)
    console.print(f"http://127.0.0.1:{port}  dataset {dataset.root}", soft_wrap=True)
    environment = {**os.environ, "ATLAS_HOME": str(dataset.root)}
    command = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-w",
        str(SETTINGS_FOLDER / "workspace.yaml"),
    ]
    raise typer.Exit(subprocess.run(command, env=environment, cwd=PROJECT_ROOT, check=False).returncode)


@app.command()
def demo(
    plates: Annotated[Path | None, typer.Option(help="A folder of your own scans instead of drawn plates.")] = None,
) -> None:
    """Take plates through the whole graph: draw 24 of them (or take --plates), register, materialise, report."""
    from atlas_assets.demo.tour import tour

    if not tour(open_dataset(), plates, console):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
