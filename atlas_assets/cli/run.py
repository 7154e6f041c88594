"""`atlas run` and `atlas status`: materialise the graph in this process, and show what is done."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import console, fail, open_dataset

if TYPE_CHECKING:
    from atlas_resources.instruments.registry import Registry
    from atlas_resources.plates.plate import Plate


def _print_problems(registry: "Registry") -> bool:
    """Prints what is wrong in the roster and the specs. Returns whether the roster is wrong: nothing is active then."""
    from atlas_resources.instruments.roster import ROSTER_NAME

    for problem in registry.problems:
        console.print(str(problem), style="red", markup=False, soft_wrap=True)
    is_wrong = any(Path(problem.file).name == ROSTER_NAME for problem in registry.problems)
    if is_wrong:
        message = f"no instrument is active until {ROSTER_NAME} is right; `atlas models show KEY` says why"
        console.print(message, style="red", markup=False, soft_wrap=True)
    return is_wrong


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
    """Materialise assets in this process, through Dagster, with progress.

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
    is_success = not _print_problems(registry := read_registry())
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


def _source_change(plate: "Plate") -> str | None:
    """How the plate's source differs from the registered one; None if it does not, or the plate cannot be read."""
    with suppress(OSError, ValueError, LookupError):  # a plate that cannot be read is listed as failed
        return plate.source_change()
    return None


def status() -> None:
    """Show how many plates are done, failed and missing in each active asset, and whether the ledgers are up to date.

    Names failed plates, instruments whose weights are not on disk, and sealed files that the ledgers leave out because
    they were altered. Reads the dataset only; nothing is materialised. The exit code is 1 if a plate failed, a sealed
    file is left out, or the roster is wrong.
    """
    from atlas_assets.automation.standings import read_standings
    from atlas_assets.graph.instruments import weights_missing
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.ledgers.freshness import why_behind
    from atlas_resources.ledgers.left_out import find_left_out

    dataset, registry = open_dataset(), read_registry()
    standings = read_standings(dataset, registry.active_instruments)
    table = Table("asset", "done", "failed", "missing", title=f"{len(dataset.plate_ids())} plates in {dataset.root}")
    for standing in standings:
        done = sum(plate.is_done for plate in standing.plates)
        failed = len(standing.failed)
        names = "\n".join(key.to_user_string() for key in standing.keys)
        table.add_row(names, str(done), str(failed), str(len(standing.plates) - done - failed))
    console.print(table)
    failures = [(standing.keys[0].to_user_string(), plate) for standing in standings for plate in standing.failed]
    for name, plate in failures:
        times = "once" if plate.attempts == 1 else f"{plate.attempts} times"
        console.print(f"{plate.plate_id} failed {times} in {name}: {plate.reason}", style="red", markup=False)
    for line in weights_missing(registry.active_instruments):
        console.print(line, style="yellow", markup=False, soft_wrap=True)
    changed = [change for plate in dataset.plates() if (change := _source_change(plate))]
    for line in changed:
        console.print(line, style="red", markup=False, soft_wrap=True)
    behind = why_behind(dataset, registry)
    console.print(f"ledgers: {behind or 'up to date'}", markup=False, soft_wrap=True)
    left_out = find_left_out(dataset)
    for fault in left_out:
        console.print(f"left out of the ledgers: {fault}", style="red", markup=False, soft_wrap=True)
    if _print_problems(registry) or failures or left_out or changed:
        raise typer.Exit(1)
