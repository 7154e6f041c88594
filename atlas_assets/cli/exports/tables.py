"""`atlas export`, `export-sqlite` and `export-embeddings`: tables as files for other programs."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.exports.saying import say_left_out
from atlas_assets.cli.output import console, counted, fail


def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write to, outside the dataset.")],
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out rows whose licence does not clearly allow commercial use.")
    ] = False,
    by: Annotated[
        str | None, typer.Option("--by", help="Who exports, for the description; by default git's user.name.")
    ] = None,
) -> None:
    """Write the ledgers as Parquet files, optionally without rows that may not be used commercially.

    Rows of withdrawn plates and runs are never written. For commercial use, a row needs the licence of the model and
    that of the scan: a plate is left out whose licence forbids commercial use, does not say, or is not stated, or that
    is tagged no-AI. What is left out is reported with the reason, and in LICENCES.txt per plate.

    croissant.json describes the files in Croissant 1.1, which loaders of machine learning open: every column with its
    type, meaning and unit, every file with its digest, and what was left out.
    """
    from atlas_resources.export.tables.croissant import CROISSANT_NAME
    from atlas_resources.export.tables.ledgers import LICENCES_NAME, export_ledgers
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        done = export_ledgers(Dataset(dataset_root()), folder, commercial, creator=by, unit_of=_unit)
    except (FileNotFoundError, ValueError) as error:
        raise fail(str(error)) from None
    for file in done.files:
        console.print(f"{file.path}: {counted(file.rows, 'row')}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{folder / CROISSANT_NAME}: what they are", markup=False, highlight=False, soft_wrap=True)
    say_left_out(done.sentences)
    if done.plates:
        path = folder / LICENCES_NAME
        line = f"{path} names each plate that was left out, and why. Correct a licence: atlas plates update FILE"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if commercial and not done.sentences:
        console.print("nothing was left out: every row's licence allows commercial use", highlight=False)


def _unit(table: str, path: str) -> str | None:
    """The unit of a number, as the data dictionary states it."""
    from atlas_assets.cli.dictionary.units import UnitUnknown, unit_of

    try:
        return unit_of(table, path)
    except UnitUnknown:
        return None


def export_sqlite(
    path: Annotated[Path, typer.Argument(help="SQLite file to write, outside the dataset.")] = Path("atlas.sqlite"),
) -> None:
    """Copy the catalogue into a SQLite file, to be browsed without SQL and without a network.

    Tables and views become tables, linked by plate. Vectors, masks and histograms are left out; nested values are JSON.
    So are rows of withdrawn plates and runs. No licence is looked at: see the columns `commercial_use`.
    `FILE.metadata.json`, written next to it, has the meaning of every table and column for Datasette.
    """
    import duckdb

    from atlas_resources.catalogue.build import connect
    from atlas_resources.export.left_out import withdrawn_from
    from atlas_resources.export.tables.sqlite import export_sqlite as write_sqlite
    from atlas_resources.ledgers.parquet import read_ledger
    from atlas_resources.plates.dataset import Dataset, dataset_root
    from atlas_resources.tables.ledgers import PLATES, RUNS

    dataset = Dataset(dataset_root())
    try:
        with connect(dataset) as catalogue:
            counts = write_sqlite(dataset, catalogue, path)
        gone = withdrawn_from({table.name: read_ledger(dataset, table) for table in (PLATES, RUNS)})
    except (FileNotFoundError, ValueError, duckdb.Error) as error:
        raise fail(str(error)) from None
    rows = sum(count for _, count in counts)
    console.print(
        f"{path}: {counted(len(counts), 'table')}, {counted(rows, 'row')}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    say_left_out(gone.sentences)
    command = f"datasette {shlex.quote(str(path))} --metadata {shlex.quote(f'{path}.metadata.json')}"
    console.print(f"browse it: {command}", markup=False, highlight=False, soft_wrap=True)


def export_embeddings(
    instrument: Annotated[str, typer.Argument(help="Embedding instrument, such as efficientnet_lite0.")],
    file: Annotated[Path, typer.Argument(help="Parquet file to write, outside the dataset.")],
    method: Annotated[
        str | None, typer.Option(help="Method of the coordinates x and y; by default umap, or else the first by name.")
    ] = None,
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out rows whose licence does not clearly allow commercial use.")
    ] = False,
) -> None:
    """Write an instrument's vectors as a Parquet file that tools for vectors open: a row per plate.

    With title, year, licence and vector, and where the dataset has them, coordinates and neighbours. Only current
    vectors of whole plates are written, none that is withdrawn. What is left out is reported with the reason.
    """
    from atlas_resources.export.tables.embeddings import export_embeddings as write_embeddings
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        done = write_embeddings(Dataset(dataset_root()), file, instrument, method=method, commercial=commercial)
    except (LookupError, OSError, ValueError) as error:
        raise fail(str(error)) from None
    line = f"{file}: {counted(done.rows_count, 'plate')}, vectors of {done.vector_dim} numbers"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    say_left_out(done.left_out)
    command = f"embedding-atlas {shlex.quote(str(file))} --text title --vector vector"
    command += " --x x --y y" if done.method else ""
    command += " --neighbors neighbors" if done.has_neighbours else ""
    console.print(f"look at it: {command}", markup=False, highlight=False, soft_wrap=True)
