"""`atlas export-prov`, `export-crate` and `export-openlineage`: what results were made from."""

from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.exports.saying import say_left_out
from atlas_assets.cli.output import console, counted, fail


def export_prov(
    file: Annotated[Path, typer.Argument(help="File to write, outside the dataset, such as plate-001.prov.json.")],
    plate: Annotated[str | None, typer.Option(help="Plate: its groundwork and every run of it.")] = None,
    run: Annotated[str | None, typer.Option(help="Run: what it sealed of every plate.")] = None,
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out results whose licence does not clearly allow it.")
    ] = False,
) -> None:
    """Write what a plate or a run was made from as PROV-JSON, the W3C's form of provenance.

    Back from the sealed files to scans, weights, prompts, environments and the commit of the code, with the digests
    that were recorded. Give one of --plate and --run. Withdrawn plates and results are left out.
    """
    from atlas_resources.export.provenance.prov import export_prov as write_prov
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        done = write_prov(Dataset(dataset_root()), file, plate_id=plate, run_id=run, commercial=commercial)
    except (LookupError, OSError, ValueError) as error:
        raise fail(str(error)) from None
    console.print(f"{file}: {counted(done.edges_count, 'relation')}", markup=False, highlight=False, soft_wrap=True)
    say_left_out(done.left_out)


def export_crate(
    run: Annotated[str, typer.Argument(help="Run, such as run-20261129-125127Z-4dcff775.")],
    path: Annotated[Path, typer.Argument(help="New folder, or file ending with .zip, outside the dataset.")],
    *,
    scans: Annotated[bool, typer.Option("--scans", help="Copy the scans into the crate too.")] = False,
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out results whose licence does not clearly allow it.")
    ] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who exports; by default git's user.name.")] = None,
    ran_by: Annotated[str | None, typer.Option("--ran-by", help="Who ran it, which Atlas does not record.")] = None,
) -> None:
    """Write one sealed run over its plates as a Workflow Run RO-Crate (its profile Process Run Crate).

    It has what the run sealed, as files, and says from what, by which model, revision and weights, with which
    parameters and software, when, and under which licence. Scans are named by their digests. Withdrawn plates and
    results are left out, and named as numbers with the reason.
    """
    from atlas_resources.chains.person import this_person
    from atlas_resources.export.provenance.crate import export_crate as write_crate
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        done = write_crate(
            Dataset(dataset_root()),
            path,
            run,
            by=this_person(by).name,
            ran_by=ran_by,
            commercial=commercial,
            with_scans=scans,
        )
    except (LookupError, OSError, ValueError) as error:
        raise fail(str(error)) from None
    counts = f"{counted(done.plates_count, 'plate')}, {counted(done.files_count, 'file')}"
    console.print(f"{path}: {counts}", markup=False, highlight=False, soft_wrap=True)
    say_left_out(done.left_out)


def export_openlineage(
    file: Annotated[Path, typer.Argument(help="File to write, outside the dataset, such as atlas.ndjson.")],
    run: Annotated[
        list[str] | None, typer.Option(help="Run to write; all by default. May be given more often.")
    ] = None,
    namespace: Annotated[str, typer.Option(help="Namespace of jobs and datasets.")] = "atlas",
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out results whose licence does not clearly allow it.")
    ] = False,
) -> None:
    """Write sealed runs as OpenLineage events, a JSON object a line. Nothing is sent anywhere.

    Each run has a START and a COMPLETE or FAIL, and so has each of its plates, with the files that were read and sealed
    and their digests. A further event for each ledger says what its columns are made of.
    """
    from atlas_resources.export.provenance.openlineage import export_openlineage as write_events
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        done = write_events(
            Dataset(dataset_root()), file, run_ids=run or (), commercial=commercial, namespace=namespace
        )
    except (LookupError, OSError, ValueError) as error:
        raise fail(str(error)) from None
    counts = ", ".join(
        counted(count, one)
        for count, one in ((done.runs_count, "run"), (done.plates_count, "result"), (done.events_count, "event"))
    )
    console.print(f"{file}: {counts}", markup=False, highlight=False, soft_wrap=True)
    say_left_out(done.left_out)
