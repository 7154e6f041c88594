"""`atlas demo`: plates through the whole graph, in one command."""

from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.output import console, open_dataset


def demo(
    plates: Annotated[Path | None, typer.Option(help="A folder of your own scans instead of drawn plates.")] = None,
) -> None:
    """Take plates through the whole graph: draw 24 (or use --plates), register, materialise, report.

    The exit code is 1 if a scan was refused or a plate failed.
    """
    from atlas_assets.demo.tour import tour

    if not tour(open_dataset(), plates, console):
        raise typer.Exit(1)
