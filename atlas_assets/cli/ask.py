"""`atlas search`: plates by words."""

from typing import Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, fail


def search(
    text: Annotated[str, typer.Argument(help="What to look for, in a few words.")],
    instrument: Annotated[str, typer.Option(help="An embedding whose model knows words.")] = "clip_vit_large_patch14",
    k: Annotated[int, typer.Option("-k", min=1, help="Plates to show.")] = 10,
) -> None:
    """Find plates by words: cosine of the text's vector and each plate's current one. A weak signal."""
    from atlas_resources.catalogue.search import search_plates
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.models.loading import DeviceUnavailable
    from atlas_resources.models.weights import WeightsMismatch
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        rows = search_plates(Dataset(dataset_root()), read_registry(), text, instrument, k)
    except (KeyError, ValueError, FileNotFoundError, WeightsMismatch, DeviceUnavailable) as error:
        raise fail(str(error.args[0]) if isinstance(error, KeyError) else str(error)) from None
    table = Table("plate_id", "title", "cosine")
    for plate_id, title, cosine in rows:
        table.add_row(plate_id, cell(title or ""), f"{cosine:.4f}")
    console.print(table if rows else f"no plate has a vector of {instrument}: atlas run 'key:\"*/{instrument}\"'")
