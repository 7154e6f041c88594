"""`atlas page`: make the page, or bring it up to date."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.output import console, counted, fail


def page(
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder to write to; by default page/ in the dataset.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Shown at the top; by default as it is, at first Atlas.")] = None,
    commercial: Annotated[
        bool,
        typer.Option("--commercial", help="Leave out plates and results whose licence does not clearly allow it."),
    ] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Make the page: the atlas as a folder of files that opens from disk, without a server or a network.

    It shows what the catalogue says: refresh that first, with `atlas run @ledgers`. A second call writes only what has
    changed since. Withdrawn plates and runs are not shown. The folder can be copied, or served as it is.
    """
    import duckdb

    from atlas_assets.in_process.progress import TerminalProgress
    from atlas_resources.page.making import make_page
    from atlas_resources.plates.dataset import Dataset, dataset_root

    with TerminalProgress(console) as progress:
        bars = {}

        def on_step(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.advance(bars[what], done - progress.tasks[bars[what]].completed)

        dataset = Dataset(dataset_root())
        try:
            made = make_page(dataset, to and to.expanduser(), title=title, is_commercial=commercial, on_step=on_step)
        except (OSError, ValueError, duckdb.Error) as error:
            raise fail(str(error)) from None
    for notice in made.notices:
        console.print(notice, style="yellow", markup=False, highlight=False, soft_wrap=True)
    lines = (
        f"{made.folder}: {counted(made.plate_count, 'plate')}, {made.size_bytes / 1e6:.1f} MB, "
        f"{counted(made.written_count, 'file')} written, {made.removed_count} removed",
        f"open it: {made.index.as_uri()}",
    )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if open_it:
        webbrowser.open(made.index.as_uri())
