"""`atlas plates pull`: fetch the scans that an index or a IIIF manifest names by address, and register them."""

import importlib.metadata
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from atlas_assets.cli.output import fail, open_dataset
from atlas_assets.cli.plates.lines import DryRun, MaxMegapixels, Pages, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from atlas_resources.acquisition import pull
    from atlas_resources.acquisition.plan import Planned
    from atlas_resources.acquisition.wanted import WantedScans
    from atlas_resources.downloads.client import Visit
    from atlas_resources.plates.dataset import Dataset

KINDS = ("registered", "already registered", "there", "fetched", "to continue", "to fetch", "failed")
LINE_SECONDS = 30.0  # between lines of progress where there is no terminal


def plates_pull(  # long: ten options, and the help of the command
    index: Annotated[
        str, typer.Argument(help="CSV, TSV, JSON or XLSX with addresses; or a IIIF manifest or collection, or its URL.")
    ],
    dry_run: DryRun = False,
    *,
    rate: Annotated[float, typer.Option(min=0.01, max=100, help="Requests per second to one host.")] = 2.0,
    per_host: Annotated[int, typer.Option(min=1, max=8, help="Requests to one host at the same time.")] = 2,
    contact: Annotated[str, typer.Option(help="Your mail or web address, which servers are told.")] = "",
    max_megabytes: Annotated[float, typer.Option(min=0.001, help="Refuse larger files.")] = 2000,
    max_hours: Annotated[float, typer.Option(min=0.0001, help="Stop after this time.")] = 24,
    max_megapixels: MaxMegapixels = 500,
    pages: Pages = False,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Fetch from this machine and from private networks too.")
    ] = False,
    proxy: Annotated[
        str | None, typer.Option(help="Address of a proxy. Those of the environment are not used.")
    ] = None,
) -> None:
    """Fetch scans by the addresses in an index or a IIIF manifest, and register them with their origin.

    An index is a table as `atlas plates add` reads it, with a column `download` or `download_url`. Columns `sha256` and
    `size_bytes` are compared with what arrives. Of a IIIF manifest (Presentation 2 or 3), the first image of each
    canvas is fetched at full size; of a collection, that of every manifest in it. Label, rights, attribution and
    metadata become index data.

    What is registered already is not fetched. A call that was interrupted continues where it stopped; parts are in
    plates/.pull until they are whole. Each plate's manifest has the address, the time, the ETag and the index.

    Each scan that cannot be fetched or registered is named with the reason, and the exit code is 1; the next call
    fetches only what is missing.
    """
    from atlas_resources.acquisition.iiif_document import IiifBroken
    from atlas_resources.acquisition.loading import load_index
    from atlas_resources.acquisition.plan import plan_pull
    from atlas_resources.acquisition.store import PullBusy
    from atlas_resources.downloads.client import Manners, Visit
    from atlas_resources.downloads.errors import DownloadFailed
    from atlas_resources.plates.dataset import Dataset, dataset_root
    from atlas_resources.plates.intake.index.table import IndexBroken
    from atlas_resources.plates.json_files import DatasetBroken

    visit = Visit(
        Manners(
            user_agent=user_agent(contact),
            requests_per_second=rate,
            per_host=per_host,
            is_private_allowed=allow_private,
            proxy=proxy,
            total_seconds=max_hours * 3600,
        )
    )
    dataset = Dataset(dataset_root()) if dry_run else open_dataset()
    try:
        wanted = load_index(index, visit)
        show_index(index, wanted)
        planned = plan_pull(dataset, wanted.scans)
        counts = Counter(one.need for one in planned)
        if dry_run:
            show_plan(planned)
        else:
            show_notes(planned)
            limits = {"max_bytes": int(max_megabytes * 1e6), "max_pixels": int(max_megapixels * 1e6)}
            counts = do_pull(dataset, visit, planned, has_pages=pages, **limits)
    except (DatasetBroken, DownloadFailed, IiifBroken, IndexBroken, PullBusy) as error:
        raise fail(str(error)) from None
    counts["failed"] += len(wanted.problems)
    show(", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "nothing to fetch")
    if counts["failed"]:
        raise typer.Exit(1)


def user_agent(contact: str) -> str:
    """What servers are told about who asks."""
    version = importlib.metadata.version("atlas-plates")
    stated = "".join(char for char in contact if char.isascii() and char.isprintable())
    return f"atlas-plates/{version} (atlas plates pull{f'; {stated}' if stated else ''})"


def show_index(index: str, wanted: "WantedScans") -> None:
    """Say how the index was read, and what in it cannot be fetched."""
    show(f"index {index}: {wanted.description}", "cyan")
    for note in wanted.notes:
        show(f"note: {note}", "yellow")
    for problem in wanted.problems:
        show(f"failed {problem.where}: {problem.reason}", "red")


def show_notes(planned: list["Planned"]) -> None:
    """Say what is odd about scans that are there already."""
    for one in planned:
        if one.note:
            show(f"note: {one.wanted.where}: {one.plate_id} {one.note}", "yellow")


def show_plan(planned: list["Planned"]) -> None:
    """Say what would be fetched, and what would not."""
    for one in planned:
        detail = one.plate_id or (f"{one.part_bytes:,} bytes are there" if one.part_bytes else "")
        show("  ".join(filter(None, (f"{one.need:<12}", one.wanted.name, one.wanted.url, detail, one.note))))


def do_pull(
    dataset: "Dataset", visit: "Visit", planned: list["Planned"], *, max_bytes: int, max_pixels: int, has_pages: bool
) -> Counter[str]:
    """Fetch and register, and print each result. Returns how many there are of each kind."""
    from atlas_resources.acquisition.pull import pull_scans
    from atlas_resources.plates.intake.registration import Options

    counts = Counter({"there": sum(one.need == "there" for one in planned)})
    options = Options(max_pixels, has_pages=has_pages)
    with (
        showing_progress() as on_progress,
        closing(
            pull_scans(dataset, visit, planned, max_bytes=max_bytes, options=options, on_progress=on_progress)
        ) as results,
    ):
        for one in results:
            if one.failure is not None or one.registration is None:
                counts["failed"] += 1
                show(f"failed {one.wanted.where}: {one.wanted.url}: {one.failure}", "red")
                continue
            registration = one.registration
            counts[registration.status.replace("_", " ")] += 1
            page = f" page {registration.page}" if registration.page else ""
            show(f"{registration.plate_id}  {one.wanted.name}{page}  {registration.title or registration.status}")
            if registration.note:
                show(f"  {registration.note}", "yellow")
    return counts


@contextmanager
def showing_progress() -> Iterator["Callable[[pull.Progress], None]"]:
    """Shows progress on standard error: a bar on a terminal, else a line now and then."""
    errors = Console(stderr=True, emoji=False)
    columns = (TextColumn("fetching"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[amount]}"))
    with Progress(*columns, TimeElapsedColumn(), console=errors, disable=not errors.is_terminal) as bar:
        task, last = bar.add_task("fetching", amount=""), time.monotonic()

        def on_progress(now: "pull.Progress") -> None:
            nonlocal last
            amount = f"{now.bytes_received / 1e6:,.1f} MB"
            bar.update(task, completed=now.done, total=now.total, amount=amount)
            if not errors.is_terminal and time.monotonic() - last > LINE_SECONDS:
                last = time.monotonic()
                typer.echo(f"{now.done} of {now.total} scans, {amount}", err=True)

        yield on_progress
