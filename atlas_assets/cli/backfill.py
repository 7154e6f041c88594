"""`atlas backfill` and `atlas selections`: ask a running Dagster for what is missing."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, counted, fail, open_dataset

if TYPE_CHECKING:
    from atlas_assets.automation.backfills import Backfill
    from atlas_assets.automation.server import DagsterServer
    from atlas_resources.instruments.registry import Registry
    from atlas_resources.plates.dataset import Dataset

POLL_SECONDS = 2.0


def selections() -> None:
    """List the saved selections: names for `atlas run @NAME` and `atlas backfill NAME`, and jobs in the UI."""
    from atlas_assets.automation.selections import saved_selections
    from atlas_resources.instruments.registry import read_registry

    table = Table("name", "job in the UI", "what it is")
    for selection in saved_selections(read_registry()).values():
        job = f"materialise_{selection.name}" if selection.is_job else ""
        table.add_row(f"@{selection.name}", job, cell(selection.meaning, 120))
    console.print(table)


def backfill(
    name: Annotated[
        str,
        typer.Argument(help="groundwork, ledgers, a role (embeddings), or an instrument by key, model id or alias."),
    ],
    plates: Annotated[str | None, typer.Option(help="Only these plates, separated by commas.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Wait until everything is done, with progress.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the runs without asking for them.")] = False,
    url: Annotated[str, typer.Option(help="Address of the Dagster web server.")] = "http://127.0.0.1:3000",
) -> None:
    """Ask a running Dagster for everything that is missing in NAME, failed plates included.

    `atlas run` computes in this process; this command puts runs into the queue of the Dagster that serves the dataset
    (`atlas ui`, or any with a daemon) and returns. The runs continue when the terminal is closed, are shared by all
    workers of the queue, and restart if their machine goes down. Each run has at most the instrument's
    `max_partitions_per_run` plates, which need not be adjacent, and loads its model once. While runs of NAME are in
    progress, no new ones are asked for; `--follow` then follows those. Ctrl-C stops following, not the runs.

    Examples: `atlas backfill dinov2_base --follow`, `atlas backfill groundwork`, `atlas backfill ledgers`.

    Exit codes: 0 if runs were asked for, nothing is missing, or all is done; 1 if a plate or a run failed, or the
    server refuses.
    """
    from atlas_assets.automation.backfills import plan_backfill, runs_under_way
    from atlas_assets.automation.server import DagsterServer, ServerError
    from atlas_resources.instruments.registry import read_registry

    dataset, registry = open_dataset(), read_registry()
    chosen = [plate_id.strip() for plate_id in plates.split(",")] if plates else None
    try:
        planned = plan_backfill(registry, dataset, name, chosen)
        for line in planned.waiting:
            console.print(line, style="yellow")
        if dry_run or not planned.works:
            _describe(planned)
            return
        server = DagsterServer(url)
        server.require_dataset(dataset.root)
        under_way = runs_under_way(server, planned.name)
        if under_way:
            console.print(
                f"already in progress: {counted(len(under_way), 'run')} of {planned.name}; nothing new is asked for"
            )
        else:
            _launch(server, dataset, planned)
        if follow and not _follow(server, registry, dataset, planned):
            raise typer.Exit(1)
    except (ValueError, ServerError) as error:
        raise fail(str(error)) from None


def _describe(planned: "Backfill") -> None:
    if not planned.works:
        console.print(f"{planned.name}: nothing is missing")
    for work in planned.works:
        names = ", ".join(key.to_user_string() for key in work.keys)
        of_plates = f"{counted(len(work.plate_ids), 'plate')}, {work.plate_ids[0]} first: " if work.plate_ids else ""
        console.print(f"one run: {of_plates}{names}", soft_wrap=True)


def _launch(server: "DagsterServer", dataset: "Dataset", planned: "Backfill") -> None:
    from atlas_assets.automation.backfills import launch_backfill
    from atlas_assets.graph.partitions import read_partitioning
    from atlas_assets.graph.plates import report_registered
    from atlas_assets.in_process.instance import open_instance

    with open_instance(dataset) as instance:
        report_registered(instance, dataset)
    launched = launch_backfill(server, planned, read_partitioning().of(dataset))
    for run_id, work in zip(launched, planned.works, strict=True):
        of_plates = counted(len(work.plate_ids), "plate") if work.plate_ids else counted(len(work.keys), "asset")
        console.print(f"asked for {of_plates}: {server.url}/runs/{run_id}", soft_wrap=True)
    if not server.has_daemon():
        console.print(
            "no daemon is running: the runs wait in the queue until one is (`atlas ui` starts it)", style="yellow"
        )


def _follow(server: "DagsterServer", registry: "Registry", dataset: "Dataset", planned: "Backfill") -> bool:
    """Shows progress until no run is in progress. Returns whether all plates are done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from atlas_assets.automation.backfills import runs_under_way

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(planned.name, total=len(planned.plate_ids) * len(planned.works) or 1)
        while True:
            under_way = runs_under_way(server, planned.name)
            failed, missing, asked = _count(registry, dataset, planned)
            states = ", ".join(sorted(run.status.lower() for run in under_way))
            progress.update(task, total=asked, completed=asked - missing, description=f"{planned.name} {states}")
            if not under_way:
                break
            time.sleep(POLL_SECONDS)
    for line in failed:
        console.print(line, style="red", markup=False, soft_wrap=True)
    if missing and not failed:
        console.print(f"{missing} of {asked} are not done and no run is in progress: {server.url}/runs", style="red")
    return not missing


def _count(registry: "Registry", dataset: "Dataset", planned: "Backfill") -> tuple[list[str], int, int]:
    """A line per failed plate, the number of (asset, plate) pairs not done yet, and the number asked for."""
    from atlas_assets.automation.backfills import read_backfill_standings
    from atlas_assets.automation.settings import read_settings
    from atlas_resources.ledgers.freshness import why_behind

    if not planned.plate_ids:
        return [], int(bool(why_behind(dataset, registry, read_settings().most_attempts))), 1
    asked = {(key, plate_id) for work in planned.works for key in work.keys for plate_id in work.plate_ids}
    failed, missing = [], 0
    for standing in read_backfill_standings(registry, dataset, planned.name):
        of_asset = [plate for plate in standing.plates if (standing.keys[0], plate.plate_id) in asked]
        missing += len(standing.keys) * sum(not plate.is_done for plate in of_asset)
        failed += [
            f"{plate.plate_id} failed in {standing.keys[0].to_user_string()}: {plate.reason}"
            for plate in standing.failed
            if plate in of_asset
        ]
    return failed, missing, len(asked)
