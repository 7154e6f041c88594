"""The `atlas` command: plates, models, runs and queries from a terminal.

Each command is a thin call; imports stand inside, so help is quick.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from atlas_assets.cli_backfill import backfill, selections
from atlas_assets.cli_export import export, export_regions
from atlas_assets.cli_golden import models_app
from atlas_assets.cli_output import cell, console, fail, open_dataset
from atlas_assets.cli_prompts import prompts_app
from atlas_assets.cli_run import run, status
from atlas_assets.cli_search import search

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
plates_app = typer.Typer(no_args_is_help=True, help="Register and list plates.")
app.add_typer(plates_app, name="plates")
models_app.add_typer(prompts_app, name="prompts")
app.add_typer(models_app, name="models")
for command in (run, status, backfill, selections, search, export, export_regions):
    app.command()(command)


@plates_app.command("add")
def plates_add(
    paths: Annotated[list[Path], typer.Argument(help="Scans, or folders of scans (searched all the way down).")],
    max_megapixels: Annotated[float, typer.Option(help="Refuse scans with more pixels.")] = 500,
) -> None:
    """Register scans as plates.

    Accepted: JPEG, PNG, TIFF, WebP. With an index beside the scans (`data.json`: plate, name, slug, fileName, download;
    or `plates.csv` with any of those columns and license) identity comes from it; else plates are numbered in order.
    Adding again changes nothing. What is refused is named with its reason, the rest is registered, and the exit code
    is 1.
    """
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from atlas_resources.registration import register_scans

    counts = {"registered": 0, "already_registered": 0, "refused": 0}
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("registering")
        for registration in register_scans(open_dataset(), paths, int(max_megapixels * 1e6)):
            counts[registration.status] += 1
            progress.update(task, description=f"registering: {registration.path.name}")
            if registration.status == "refused":
                progress.console.print(
                    f"refused {registration.path}: {registration.reason}", style="red", soft_wrap=True
                )
            elif registration.status == "registered":
                progress.console.print(f"{registration.plate_id}  {registration.path}", soft_wrap=True)
        progress.update(task, description="registered")
    console.print(", ".join(f"{number} {status.replace('_', ' ')}" for status, number in counts.items()))
    if not sum(counts.values()):
        raise fail(f"no scans found in {', '.join(map(str, paths))}")
    if counts["refused"]:
        raise typer.Exit(1)


@plates_app.command("list")
def plates_list() -> None:
    """List the registered plates."""
    dataset = open_dataset()
    table = Table("plate", "number", "title", "source", "licence")
    for plate_id in dataset.plate_ids():
        manifest = dataset.manifest(plate_id)
        number = "" if manifest.plate_number is None else str(manifest.plate_number)
        table.add_row(*map(cell, (plate_id, number, manifest.title, manifest.source_image, manifest.license or "")))
    console.print(table if table.row_count else "no plates yet: atlas plates add PATH")


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

    from atlas_resources.catalogue import connect

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

    from atlas_assets.partitions import add_missing_partitions
    from atlas_assets.terminal import open_instance
    from atlas_resources.provenance import PROJECT_ROOT

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
        str(PROJECT_ROOT / "workspace.yaml"),
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
