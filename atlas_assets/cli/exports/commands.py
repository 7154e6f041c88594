"""`atlas export` and its relatives: ledgers, regions, provenance and the catalogue as files for other programs."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atlas_assets.cli.output import console, counted, fail, warn

if TYPE_CHECKING:
    from atlas_resources.export.left_out import LeftOut
    from atlas_resources.export.tables.ledgers import LeftOutPlate


def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write to, outside the dataset.")],
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out rows whose licence does not clearly allow commercial use.")
    ] = False,
) -> None:
    """Write the ledgers as Parquet files, optionally without rows that may not be used commercially.

    Rows of withdrawn plates and runs are never written. For commercial use, a row needs the licence of the model and
    that of the scan: a plate is left out whose licence forbids commercial use, does not say, or is not stated, or that
    is tagged no-AI. What is left out is reported with the reason, and in LICENCES.txt per plate.
    """
    from atlas_resources.export.tables.ledgers import LICENCES_NAME, export_ledgers, plates_left_out
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        dataset = Dataset(dataset_root())
        written, left_out = export_ledgers(dataset, folder, commercial)
        plates = plates_left_out(dataset) if commercial else []
    except (FileNotFoundError, ValueError) as error:
        raise fail(str(error)) from None
    for file in written:
        console.print(f"{file.path}: {counted(file.rows, 'row')}", markup=False, highlight=False, soft_wrap=True)
    say_left_out(left_out, plates)
    if plates:
        path = folder / LICENCES_NAME
        line = f"{path} names each plate that was left out, and why. Correct a licence: atlas plates update FILE"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if commercial and not left_out and not plates:
        console.print("nothing was left out: every row's licence allows commercial use", highlight=False)


def say_left_out(left_out: "Sequence[LeftOut]", plates: "Sequence[LeftOutPlate]") -> None:
    """Prints what an export for commercial use has not, and why: rows by the terms of models, and whole plates."""
    lines = [
        f"left out of {rows.table}: {counted(rows.rows, 'row')} of {rows.instrument}: {rows.reason}"
        for rows in left_out
    ]
    for reason, count in Counter(plate.reason for plate in plates).most_common():
        lines.append(f"left out {counted(count, 'plate')} with all rows: {reason}")
    for line in lines:
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


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
    """Write plates with regions and texts for viewers: GeoJSON, W3C Web Annotations and a IIIF manifest per plate.

    Lines that models read on them, and captions, keywords and descriptions that models wrote, are further pages of
    annotations, marked as machine-made. Coordinates are pixels of the upright source: x right, y down. Plates without
    polygons have their texts alone; to make polygons: atlas run 'key:"regions/otsu_luma/polygons"', then
    atlas run @ledgers
    """
    from atlas_resources.export.tables.ledgers import plates_left_out
    from atlas_resources.export.viewers.regions import export_regions as write_regions
    from atlas_resources.export.viewers.regions import find_publishable, no_polygons
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        dataset = Dataset(dataset_root())
        found = find_publishable(dataset, segmenter, commercial=commercial)
        for plate in write_regions(dataset, folder, found, base_url):
            counts = {"region": plate.regions_count, "line of text": plate.lines_count, "answer": plate.answers_count}
            said = ", ".join(counted(count, one) for one, count in counts.items() if count)
            console.print(f"{plate.manifest}: {said}", markup=False, highlight=False, soft_wrap=True)
    except (FileNotFoundError, ValueError) as error:
        raise fail(str(error)) from None
    if not found.has_polygons:
        warn(no_polygons(dataset, segmenter))
    say_left_out(found.left_out, plates_left_out(dataset) if commercial else [])


def export_sqlite(
    path: Annotated[Path, typer.Argument(help="SQLite file to write, outside the dataset.")] = Path("atlas.sqlite"),
) -> None:
    """Copy the catalogue into a SQLite file, to be browsed without SQL and without a network.

    Tables and views become tables, linked by plate. Vectors, masks and histograms are left out; nested values are JSON.
    `FILE.metadata.json`, written next to it, has the meaning of every table and column for Datasette.
    """
    import duckdb

    from atlas_resources.catalogue.build import connect
    from atlas_resources.export.tables.sqlite import export_sqlite as write_sqlite
    from atlas_resources.plates.dataset import Dataset, dataset_root

    dataset = Dataset(dataset_root())
    try:
        with connect(dataset) as catalogue:
            counts = write_sqlite(dataset, catalogue, path)
    except (FileNotFoundError, ValueError, duckdb.Error) as error:
        raise fail(str(error)) from None
    rows = sum(count for _, count in counts)
    console.print(
        f"{path}: {counted(len(counts), 'table')}, {counted(rows, 'row')}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    command = f"datasette {shlex.quote(str(path))} --metadata {shlex.quote(f'{path}.metadata.json')}"
    console.print(f"browse it: {command}", markup=False, highlight=False, soft_wrap=True)


def export_prov(
    file: Annotated[Path, typer.Argument(help="File to write, outside the dataset, such as plate-001.prov.json.")],
    plate: Annotated[str | None, typer.Option(help="Plate: its groundwork and every run of it.")] = None,
    run: Annotated[str | None, typer.Option(help="Run: what it sealed of every plate.")] = None,
) -> None:
    """Write what a plate or a run was made from as PROV-JSON, the W3C's form of provenance.

    Back from the sealed files to scans, weights, prompts, environments and the commit of the code, with the digests
    that were recorded. Give one of --plate and --run.
    """
    from atlas_resources.export.provenance.prov import export_prov as write_prov
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        edges_count = write_prov(Dataset(dataset_root()), file, plate_id=plate, run_id=run)
    except (LookupError, OSError, ValueError) as error:
        raise fail(str(error)) from None
    console.print(f"{file}: {counted(edges_count, 'relation')}", markup=False, highlight=False, soft_wrap=True)
