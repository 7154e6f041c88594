"""`atlas change-partitions`: a dataset's partitions in Dagster made those that the settings declare."""

from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail, open_dataset


def change_partitions(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and record nothing.")] = False,
) -> None:
    """Give Dagster the partitions of this dataset that `partitions.yaml` declares: a plate each, or shards of many.

    Dagster advises at most 100,000 partitions. With more plates, put `partitions: shards` into the project's
    partitions.yaml (`atlas init FOLDER` makes a project) and call this command once. Plates are divided in order of
    registration; the partitions of the other kind are removed, and what is on disk is reported for the new ones.
    Plates, runs and ledgers stay as they are, and so do earlier events in Dagster's history.

    No run may be in progress. Reload the code location afterwards, or restart `atlas ui`. Killed and called again, it
    goes on. `docs/many_plates.md` says what differs.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from atlas_assets.in_process import changing_partitions
    from atlas_assets.in_process.instance import open_instance
    from atlas_resources.instruments.registry import read_registry

    dataset, registry, count = open_dataset(), read_registry(), 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("removing partitions", visible=False)

        def show(number: int, of: int) -> None:
            progress.update(task, completed=number, total=of, visible=True)

        try:
            with open_instance(dataset) as instance:
                for line in changing_partitions.change_partitions(
                    instance, dataset, registry, is_dry=dry_run, on_removed=show
                ):
                    count += 1
                    text = f"would have {line}" if dry_run else line
                    console.print(text, markup=False, highlight=False, soft_wrap=True)
        except ValueError as error:
            raise fail(str(error)) from None
    if not count:
        console.print("Dagster's partitions are those that partitions.yaml declares")
