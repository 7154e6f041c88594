"""`atlas plates export` and `update`: what is stated about every plate as a table, and corrections of it."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.output import counted, fail, open_dataset
from atlas_assets.cli.plates.lines import DryRun, show


def plates_export(
    file: Annotated[Path, typer.Argument(help="File to write.")] = Path("plates.csv"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Write a CSV with a row per plate and all its index data, to correct and to fill in.

    Change it in any spreadsheet program, add columns, and read it back: atlas plates update FILE. `plate_id` says which
    plate a row describes; leave it as it is.
    """
    from atlas_resources.files.durable import write_bytes_atomically
    from atlas_resources.plates.intake.template import build_template

    dataset = open_dataset()
    count = len(dataset.plate_ids())
    if not count:
        raise fail("no plates yet: atlas plates add PATH")
    if file.exists() and not force:
        raise fail(f"{file}: exists already. Fix: name another file, or replace it with --force")
    write_bytes_atomically(file, build_template(dataset))
    show(f"{file}: {counted(count, 'plate')}. Correct it, then: atlas plates update {file} --dry-run")


def plates_update(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSON or XLSX with a row per plate.")],
    dry_run: DryRun = False,
) -> None:
    """Correct what is stated about registered plates, by a table such as `atlas plates export` writes.

    A row names its plate by `plate_id`, by its number, or by the scan's file. Columns that the table lacks stay as they
    are; an empty cell removes its value, except title and slug. Each correction is a new, dated version of the plate's
    manifest, and the older versions stay readable. Ids and sources never change. The exit code is 1 if a row names no
    plate.
    """
    from atlas_resources.plates.intake.corrections import update_plates
    from atlas_resources.plates.intake.index.table import IndexBroken
    from atlas_resources.plates.json_files import DatasetBroken

    would = "would be " if dry_run else ""
    counts: Counter[str] = Counter()
    try:
        index, corrections = update_plates(open_dataset(), file, dry_run)
        show(f"index {file}: {index.coding}, {counted(len(index.rows), 'row')}: {index.columns.describe()}", "cyan")
        for one in corrections:
            kind = "refused" if one.reason else "corrected" if one.changed else "unchanged"
            counts[kind] += 1
            if one.reason:
                show(f"refused {one.where}: {one.reason}", "red")
            elif one.changed:
                show(f"{one.plate_id}  {would}corrected: {', '.join(one.changed)}")
    except (IndexBroken, DatasetBroken) as error:
        raise fail(str(error)) from None
    numbers = ", ".join(f"{counts[kind]} {kind}" for kind in ("corrected", "unchanged", "refused"))
    show(f"{would}{numbers}")
    if counts["refused"]:
        raise typer.Exit(1)
