"""`atlas repair-events`: Dagster's partitions and events made to agree with the disk."""

from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail, open_dataset


def repair_events(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and record nothing.")] = False,
) -> None:
    """Make what Dagster shows agree with what is on disk. Nothing in the dataset changes.

    For a library whose Dagster history was lost or is another one: a deleted `.dagster`, a dataset that was copied from
    another machine, a run folder or a plate that was deleted. Results on disk without an event are reported, with their
    versions and pictures. Plates that Dagster shows as materialised, but whose results are not on disk, are marked as
    failed until they are made again: Dagster cannot forget the events of single plates. Partitions of plates that are
    gone are removed. Run it again at any time: it does only what is left to do.

    The check `events_match_the_disk` of `ledger/completeness` says when it is needed.
    """
    from atlas_assets.in_process import repairing
    from atlas_assets.in_process.instance import open_instance
    from atlas_resources.instruments.registry import read_registry

    dataset, registry, count = open_dataset(), read_registry(), 0
    try:
        with open_instance(dataset) as instance:
            for line in repairing.repair_events(instance, dataset, registry, is_dry=dry_run):
                count += 1
                text = f"would have {line}" if dry_run and line[0].islower() else line
                console.print(text, markup=False, highlight=False, soft_wrap=True)
    except ValueError as error:
        raise fail(str(error)) from None
    if not count:
        console.print("Dagster's events agree with the disk")
