"""The `atlas` command: plates, models, runs and queries from a terminal.

Each command is a thin call; imports stand inside, so help is quick.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from atlas_resources.dataset import Dataset

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Measure scanned art plates with pinned models, and keep every number traceable.

The dataset lies in **ATLAS_HOME** (default `data/atlas`). A first session:

    atlas plates add ~/scans        register scans; the files are copied, never altered
    atlas run                       materialise the whole graph
    atlas query "FROM nearest('plate-001', 'efficientnet_lite0', 5)"
    atlas ui                        the Dagster UI, on loopback
""",
)
plates_app = typer.Typer(no_args_is_help=True, help="Register and list plates.")
models_app = typer.Typer(no_args_is_help=True, help="List and check the instruments of model_specs/.")
app.add_typer(plates_app, name="plates")
app.add_typer(models_app, name="models")
console = Console()


def _dataset() -> "Dataset":
    from atlas_resources.dataset import Dataset, dataset_root

    dataset = Dataset(dataset_root())
    dataset.ensure()
    return dataset


def _fail(message: str) -> typer.Exit:
    """Says what is wrong on standard error; raise what it returns."""
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(1)


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
        for registration in register_scans(_dataset(), paths, int(max_megapixels * 1e6)):
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
        raise _fail(f"no scans found in {', '.join(map(str, paths))}")
    if counts["refused"]:
        raise typer.Exit(1)


@plates_app.command("list")
def plates_list() -> None:
    """List the registered plates."""
    dataset = _dataset()
    table = Table("plate", "number", "title", "source", "licence")
    for plate_id in dataset.plate_ids():
        manifest = dataset.manifest(plate_id)
        number = "" if manifest.plate_number is None else str(manifest.plate_number)
        table.add_row(plate_id, number, manifest.title, manifest.source_image, manifest.license or "")
    console.print(table if table.row_count else "no plates yet: atlas plates add PATH")


@models_app.command("list")
def models_list() -> None:
    """List every instrument: role, revision, licence, and whether it is admitted or what is missing."""
    from atlas_resources.registry import read_registry
    from atlas_resources.specs import missing_for_admission, model_sha

    registry = read_registry()
    table = Table("instrument", "role", "model", "revision", "licence", "status")
    for spec in registry.specs.values():
        missing = missing_for_admission(spec)
        revision = model_sha(spec) or "-"
        table.add_row(
            spec.key,
            spec.role,
            spec.model_id,
            revision[:12] if "==" not in revision else revision,
            spec.licence.spdx if spec.licence else "-",
            f"[green]admitted[/]{', active' if spec.key in registry.active else ''}"
            if not missing
            else "[yellow]idea[/]: " + "; ".join(missing),
        )
    for problem in registry.problems:
        table.add_row(problem.file, "", "", "", "", f"[red]broken[/]: {problem.field}")
    console.print(table)


@models_app.command("check")
def models_check(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of specs; the project's model_specs/ by default.")
    ] = None,
) -> None:
    """Check every spec; exit 1 on a broken one, naming file, field, what was found and what is expected."""
    from atlas_resources.registry import SPECS_DIR, read_registry

    registry = read_registry(folder or SPECS_DIR)
    for problem in registry.problems:
        console.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{len(registry.specs)} specs read, {len(registry.admitted)} admitted, {len(registry.problems)} problems"
    )
    if registry.problems or not registry.specs:
        raise typer.Exit(1)


@models_app.command("show")
def models_show(key: Annotated[str, typer.Argument(help="Key of an instrument.")]) -> None:
    """Show one instrument's card: pins, terms, preprocessing, known ways to be wrong, where its weights lie."""
    import yaml

    from atlas_resources.registry import read_registry
    from atlas_resources.specs import fingerprint, missing_for_admission
    from atlas_resources.weights import WeightsMismatch, WeightsMissing, require_weights

    registry = read_registry()
    try:
        spec = registry.require(key)
    except KeyError as error:
        raise _fail(str(error.args[0])) from None
    console.print(
        yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110), markup=False
    )
    missing = missing_for_admission(spec)
    if missing:
        console.print(f"idea, not admitted: {'; '.join(missing)}", style="yellow")
        return
    from atlas_resources.registry import LOADERS

    console.print(f"fingerprint {fingerprint(spec, LOADERS[spec.loader].version)}")
    try:
        weights = require_weights(spec)
    except (WeightsMissing, WeightsMismatch) as error:
        console.print(str(error), style="yellow", markup=False, soft_wrap=True)
    else:
        for path in weights.files.values():
            console.print(f"on disk, digest right: {path}", style="green", soft_wrap=True)


@app.command()
def run(
    selection: Annotated[
        str | None,
        typer.Argument(help="Assets, in Dagster's selection syntax; by default all, with the active instruments."),
    ] = None,
    plates: Annotated[str | None, typer.Option(help="Plates, separated by commas; all by default.")] = None,
) -> None:
    """Materialise assets in this process, through Dagster, with progress.

    Examples: `atlas run`, `atlas run 'group:embeddings'`, `atlas run 'key:"ledger/*" or key:"catalogue"'`,
    `atlas run 'key:"segments/otsu_luma"' --plates plate-001,plate-007`. Plates that are done cost next to nothing.
    """
    from atlas_assets.terminal import materialize, open_instance
    from atlas_resources.registry import read_registry

    dataset = _dataset()
    chosen = [plate_id.strip() for plate_id in plates.split(",")] if plates else None
    is_success = True
    with open_instance(dataset) as instance:
        try:
            for layer in materialize(
                read_registry(), dataset, instance, selection=selection, plate_ids=chosen, console=console
            ):
                is_success &= layer.is_success
                for failure in layer.failures:
                    console.print(failure, style="red", markup=False, soft_wrap=True)
        except ValueError as error:
            raise _fail(str(error)) from None
    if not is_success:
        raise typer.Exit(1)


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
        with connect(_dataset()) as connection:
            result = connection.execute(sql)
            names = [column[0] for column in result.description or []]
            rows = result.fetchmany(limit + 1)
    except (FileNotFoundError, duckdb.Error) as error:
        raise _fail(str(error)) from None
    table = Table(*names)
    for row in rows[:limit]:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)
    if len(rows) > limit:
        console.print(f"the first {limit} rows; more with --limit")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on loopback.")] = 3000) -> None:
    """Open the Dagster UI on this dataset, on loopback, with its daemon. Nothing else can reach it."""
    import os
    import subprocess
    import sys

    from atlas_assets.partitions import add_missing_partitions
    from atlas_assets.terminal import open_instance
    from atlas_resources.provenance import PROJECT_ROOT

    dataset = _dataset()
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

    if not tour(_dataset(), plates, console):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
