"""`atlas run`: materialise the graph in this process."""

from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail, open_dataset, print_problems


def _split(plates: str | None) -> list[str] | None:
    """Plate ids that are separated by commas."""
    return [plate_id.strip() for plate_id in plates.split(",")] if plates else None


def run(
    selection: Annotated[
        str | None,
        typer.Argument(
            help="Assets, by a saved name (embeddings or @embeddings, see `atlas selections`) or in Dagster's "
            "selection syntax. By default all, with the active instruments."
        ),
    ] = None,
    plates: Annotated[str | None, typer.Option(help="Plates, separated by commas; all by default.")] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Only plates that are missing in an asset.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only plates that failed and are still not done.")] = False,
    paranoid: Annotated[
        bool, typer.Option("--paranoid", help="Hash weights again, ignoring remembered digests.")
    ] = False,
) -> None:
    """Materialise assets in this process, through Dagster, with progress. The page is made only if it is named.

    Examples: `atlas run`, `atlas run @embeddings`, `atlas run 'key:"ledger/*" or key:"catalogue"'`,
    `atlas run 'key:"segments/otsu_luma"' --plates plate-001,plate-007`, `atlas run --failed`. Plates that are done
    are skipped.

    Exit codes: 0 if all is done; 1 if a plate failed, if a check finds a plate unsound or a sealed file altered (both
    are named with the reason), if weights of a selected instrument are not on disk (the rest is materialised), if the
    roster is wrong, or if the selection is not valid.
    """
    from atlas_assets.in_process.instance import open_instance
    from atlas_assets.in_process.materializing import materialize
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.models.weights import forget_digests

    if sum((bool(plates), missing, failed)) > 1:
        raise fail("use only one of --plates, --missing and --failed")
    dataset = open_dataset()
    which = "missing" if missing else "failed" if failed else "all"
    is_success = not print_problems(registry := read_registry())
    for instrument in registry.instruments.values() if paranoid else ():
        forget_digests(instrument.spec)
    with open_instance(dataset) as instance:
        try:
            layers = materialize(
                registry, dataset, instance, selection=selection, plate_ids=_split(plates), which=which, console=console
            )
            for layer in layers:
                is_success &= layer.is_success
                for failure in layer.failures:
                    console.print(failure, style="red", markup=False, soft_wrap=True)
        except ValueError as error:
            raise fail(str(error)) from None
    if not is_success:
        raise typer.Exit(1)
