"""`atlas export-prov`, `export-crate` and `export-openlineage`: what results were made from."""

from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.output import console, counted, fail


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
