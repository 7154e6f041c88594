"""`atlas plates`: register and list plates, and correct what their index states."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from atlas_assets.cli.output import cell, console, fail, open_dataset

if TYPE_CHECKING:
    from atlas_resources.plates.intake.registration import Registration

MOST_DIFFERING = 3
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and write nothing.")]


def plates_add(
    paths: Annotated[list[Path], typer.Argument(help="Scans, or folders of scans (searched recursively).")],
    index: Annotated[
        Path | None, typer.Option(help="The index of all these scans, in any folder: CSV, TSV, JSON or XLSX.")
    ] = None,
    dry_run: DryRun = False,
    pages: Annotated[
        bool, typer.Option("--pages", help="Make every page of a TIFF a plate of its own, not only its first.")
    ] = False,
    max_megapixels: Annotated[float, typer.Option(help="Refuse scans with more pixels.")] = 500,
) -> None:
    """Register scans as plates. The scans are copied and never altered.

    An index beside the scans describes them, one row per scan: CSV or TSV (comma, semicolon or tab; UTF-8, UTF-16 or
    Windows-1252), JSON (a list of objects) or XLSX. The column whose values name the scans is found by itself. `plate`,
    `title`, `slug`, `download` and `licence` are understood in several spellings; every other column is kept with the
    plate. `plates.csv`, `plates.xlsx` or `data.json` is the index of its folder, else the one table that names the
    scans. What was understood is reported, and so is every table that is not used.

    Without an index, plates are numbered in order. Adding the same scans again changes nothing; with `--index`, plates
    that are registered take over what the index states now, as a new version of their manifests.

    With `--pages`, a page's own row of the index (with a column `source_page`) says which plate it is. Else page 2 of a
    file whose row says plate 13 is plate-013-page-2; without a row, it takes the next free number.

    A refused scan is reported with its reason, and listed in refused_scans.json until it is registered or gone. The
    rest are registered, and the exit code is 1.
    """
    from atlas_resources.plates.dataset import Dataset, dataset_root
    from atlas_resources.plates.intake.registration import Options, register_plan
    from atlas_resources.plates.intake.scan_plan import plan_scans
    from atlas_resources.plates.json_files import DatasetBroken

    dataset = Dataset(dataset_root()) if dry_run else open_dataset()
    plan = plan_scans(paths, index)
    for report in plan.reports:
        if report.is_used:
            show(f"index {report.path}: {report.text}", "cyan")
        else:
            show(f"note: {report.path} {report.text}", "yellow")
    options = Options(int(max_megapixels * 1e6), is_correcting=index is not None, is_dry=dry_run, has_pages=pages)
    try:
        found = show_registrations(register_plan(dataset, plan, options), dry_run)
    except DatasetBroken as error:
        raise fail(str(error)) from None
    if not found:
        raise fail(f"no scans found in {', '.join(map(str, paths))}")
    show_differing([one for one in found if one.status == "already_registered" and one.differing])
    if any(one.status == "refused" for one in found):
        raise typer.Exit(1)


def show(line: str, style: str = "") -> None:
    """Print a line as it is: names of files and reasons may look like markup."""
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def show_registrations(registrations: Iterable["Registration"], is_dry: bool) -> list["Registration"]:
    """Print each result as it comes, then how many there are of each kind. Returns the results."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    counts: Counter[str] = Counter()
    found = []
    would = "would be " if is_dry else ""
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("registering")
        for one in registrations:
            found.append(one)
            counts[one.status] += 1
            progress.update(task, description=f"registering: {escape(one.path.name)}")
            scan = one.path if one.page is None else f"{one.path} page {one.page}"
            match one.status:
                case "refused":
                    show(f"{would}refused {one.path}: {one.reason}", "red")
                case "registered":
                    show(f"{one.plate_id}  {scan}  {one.title}")
                case "corrected":
                    show(f"{one.plate_id}  {scan}  {would}corrected: {', '.join(one.differing)}")
            if one.note:
                show(f"  {one.note}", "yellow")
        progress.update(task, description="checked" if is_dry else "registered")
    kinds = ["registered", "already_registered", *(["corrected"] if counts["corrected"] else []), "refused"]
    numbers = ", ".join(f"{counts[kind]} {kind}" for kind in kinds)
    show(f"{would}{numbers}".replace("_", " "))
    return found


def show_differing(differing: list["Registration"]) -> None:
    """Say which plates are registered with other index data than their index has now, and how to correct them."""
    if differing:
        shown = "; ".join(f"{one.plate_id}: {', '.join(one.differing)}" for one in differing[:MOST_DIFFERING])
        more = f"; and {len(differing) - MOST_DIFFERING} more" if len(differing) > MOST_DIFFERING else ""
        number = "1 plate is" if len(differing) == 1 else f"{len(differing)} plates are"
        show(
            f"{number} registered with other index data ({shown}{more}). To correct them: atlas plates update INDEX",
            "yellow",
        )


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
    show(f"{file}: {count} plates. Correct it, then: atlas plates update {file} --dry-run")


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
    from atlas_resources.plates.intake.index.choice import counted
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


def plates_list() -> None:
    """List the registered plates."""
    dataset = open_dataset()
    table = Table("plate", "number", "title", "source", "licence")
    for plate_id in dataset.plate_ids():
        manifest = dataset.plate(plate_id).manifest()
        number = "" if manifest.plate_number is None else str(manifest.plate_number)
        table.add_row(*map(cell, (plate_id, number, manifest.title, manifest.source_image, manifest.license or "")))
    console.print(table if table.row_count else "no plates yet: atlas plates add PATH")


def plates_show(plate_id: Annotated[str, typer.Argument(help="The plate's id.")]) -> None:
    """Show a plate's index data, and every version of them."""
    from atlas_resources.plates.intake.corrections import differing_fields
    from atlas_resources.plates.json_files import DatasetBroken
    from atlas_resources.plates.plate import PlateIdRefused, PlateUnknown

    try:
        versions = open_dataset().plate(plate_id).manifest_versions()
    except (DatasetBroken, PlateIdRefused, PlateUnknown) as error:
        raise fail(str(error)) from None
    for name, value in versions[-1].model_dump(mode="json", exclude={"extra"}).items():
        if value is not None:
            show(f"{name}: {value}")
    for name, value in versions[-1].extra.items():
        show(f"extra.{name}: {value}")
    for older, newer in pairwise(versions):
        changed = ", ".join(differing_fields(older, newer))
        show(f"version {newer.manifest_version}, {newer.updated_at:%Y-%m-%d %H:%M:%S} UTC: {changed}")
