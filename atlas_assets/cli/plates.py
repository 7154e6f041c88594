"""`atlas plates`: register and list plates."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, fail, open_dataset


def plates_add(
    paths: Annotated[list[Path], typer.Argument(help="Scans, or folders of scans (searched recursively).")],
    max_megapixels: Annotated[float, typer.Option(help="Refuse scans with more pixels.")] = 500,
) -> None:
    """Register scans as plates.

    Accepted: JPEG, PNG, TIFF, WebP. An index next to the scans gives plate numbers and titles: `data.json` (plate,
    name, slug, fileName, download) or `plates.csv` (any of those columns, and license). Without one, plates are
    numbered in order. Adding the same scans again changes nothing. A refused scan is reported with its reason, the
    rest are registered, and the exit code is 1.
    """
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from atlas_resources.plates.intake.registration import register_scans

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


def plates_list() -> None:
    """List the registered plates."""
    dataset = open_dataset()
    table = Table("plate", "number", "title", "source", "licence")
    for plate_id in dataset.plate_ids():
        manifest = dataset.plate(plate_id).manifest()
        number = "" if manifest.plate_number is None else str(manifest.plate_number)
        table.add_row(*map(cell, (plate_id, number, manifest.title, manifest.source_image, manifest.license or "")))
    console.print(table if table.row_count else "no plates yet: atlas plates add PATH")
