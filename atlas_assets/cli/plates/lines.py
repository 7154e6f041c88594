"""What the commands of this room share: printing a line as it is, and the options of several commands."""

from typing import Annotated

import typer

from atlas_assets.cli.output import console

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and write nothing.")]
Pages = Annotated[
    bool, typer.Option("--pages", help="Make every page of a TIFF a plate of its own, not only its first.")
]
MaxMegapixels = Annotated[float, typer.Option(help="Refuse scans with more pixels.")]


def show(line: str, style: str = "") -> None:
    """Print a line as it is: names of files and reasons may look like markup."""
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
