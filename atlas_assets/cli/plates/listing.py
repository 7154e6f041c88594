"""`atlas plates list` and `show`: the registered plates, and what is stated about one."""

from itertools import pairwise
from typing import Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, fail, open_dataset
from atlas_assets.cli.plates.lines import show


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
    from atlas_resources.files.contract import FileContract
    from atlas_resources.plates.intake.corrections import differing_fields
    from atlas_resources.plates.json_files import DatasetBroken
    from atlas_resources.plates.plate import PlateIdRefused, PlateUnknown

    try:
        versions = open_dataset().plate(plate_id).manifest_versions()
    except (DatasetBroken, PlateIdRefused, PlateUnknown) as error:
        raise fail(str(error)) from None
    fields = versions[-1].model_dump(mode="json", exclude={"extra", *FileContract.model_fields})
    origin = fields.pop("origin", None) or {}
    for name, value in {**fields, **{f"origin.{name}": value for name, value in origin.items()}}.items():
        if value is not None:
            show(f"{name}: {value}")
    for name, value in versions[-1].extra.items():
        show(f"extra.{name}: {value}")
    for older, newer in pairwise(versions):
        changed = ", ".join(differing_fields(older, newer))
        show(f"version {newer.manifest_version}, {newer.updated_at:%Y-%m-%d %H:%M:%S} UTC: {changed}")
