"""`atlas demo`: plates through the whole graph, in one command."""

from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail, open_dataset


def demo(
    plates: Annotated[Path | None, typer.Option(help="A folder of your own scans instead of drawn plates.")] = None,
) -> None:
    """Take plates through the whole graph: draw 24 (or use --plates), register, materialise, report.

    Needs the weights of the active instruments: `atlas models pull --active` fetches what is not on disk. The exit code
    is 1 if weights are missing, a scan was refused, or a plate failed.
    """
    from atlas_assets.demo.plates import is_drawn_otherwise
    from atlas_assets.demo.tour import SCALE, TRUTH_FOLDER, tour
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.models.weights import without_weights

    lacking = {key for instrument in read_registry().active_instruments for key in without_weights(instrument)}
    if lacking:
        raise fail(f"weights that are not on disk: {', '.join(sorted(lacking))}. Fix: `atlas models pull --active`")
    dataset = open_dataset()
    if plates is None and is_drawn_otherwise(dataset.root / TRUTH_FOLDER, scale=SCALE):
        raise fail(
            f"{dataset.root} has the demonstration plates of another release, and a registered scan is never replaced. "
            f"Fix: remove that folder, or set ATLAS_HOME to another one"
        )
    if not tour(dataset, plates, console):
        raise typer.Exit(1)
