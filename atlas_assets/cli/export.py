"""`atlas export` and `atlas export-regions`: ledgers and regions as files for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail


def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write to, outside the dataset.")],
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out rows whose licence does not clearly allow commercial use.")
    ] = False,
) -> None:
    """Write the ledgers as Parquet files, optionally without rows that may not be used commercially.

    Rows left out are reported with their licence. The scans' own licences are in `plates`; Atlas does not judge them.
    """
    from atlas_resources.export.ledgers import export_ledgers
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        written, left_out = export_ledgers(Dataset(dataset_root()), folder, commercial)
    except (FileNotFoundError, ValueError) as error:
        raise fail(str(error)) from None
    for file in written:
        console.print(f"{file.path}: {file.rows} rows", markup=False, highlight=False, soft_wrap=True)
    for rows in left_out:
        line = f"left out of {rows.table}: {rows.rows} rows of {rows.instrument}: {rows.reason}"
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if commercial and not left_out:
        console.print("nothing was left out: every row's licence allows commercial use", highlight=False)


def export_regions(
    folder: Annotated[Path, typer.Argument(help="Folder to write to, outside the dataset.")],
    segmenter: Annotated[str, typer.Option(help="The segmenter whose kept segments are exported.")] = "otsu_luma",
    base_url: Annotated[
        str, typer.Option(help="URL the folder will be served from; IIIF identifies everything by URL.")
    ] = "http://127.0.0.1:8000",
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out regions whose licences do not clearly allow commercial use.")
    ] = False,
) -> None:
    """Write plates with their regions for viewers: GeoJSON, W3C Web Annotations and a IIIF manifest per plate.

    Coordinates are pixels of the upright source: x right, y down. Polygons must exist first:
    atlas run 'key:"regions/otsu_luma/polygons"', then atlas run @ledgers
    """
    from atlas_resources.export.regions import export_regions as write_regions
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        for plate in write_regions(Dataset(dataset_root()), folder, segmenter, base_url, commercial=commercial):
            line = f"{plate.manifest}: {plate.regions_count} regions"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    except (FileNotFoundError, ValueError) as error:
        raise fail(str(error)) from None
