"""`atlas plates add`: register scans that are on disk."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from atlas_assets.cli.output import console, fail, open_dataset
from atlas_assets.cli.plates.lines import DryRun, MaxMegapixels, Pages, show

if TYPE_CHECKING:
    from atlas_resources.plates.intake.registration import Registration

MOST_DIFFERING = 3


def plates_add(
    paths: Annotated[list[Path], typer.Argument(help="Scans, or folders of scans (searched recursively).")],
    index: Annotated[
        Path | None, typer.Option(help="The index of all these scans, in any folder: CSV, TSV, JSON or XLSX.")
    ] = None,
    dry_run: DryRun = False,
    pages: Pages = False,
    max_megapixels: MaxMegapixels = 500,
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
