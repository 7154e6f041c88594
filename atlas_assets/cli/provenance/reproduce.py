"""`atlas reproduce`: run a sealed run again from its own manifest, and compare."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from atlas_assets.cli.output import console, fail, open_dataset

if TYPE_CHECKING:
    from atlas_assets.reproduction.repetition import Repetition
    from atlas_assets.reproduction.sealed_runs import SealedRun
    from atlas_resources.plates.records.reproduction import ReproducedPlate, Reproduction

DIFFERENT, NOT_REPEATABLE = 1, 2
COLOURS = {"identical": "green", "within_tolerance": "green", "different": "red", "not_repeatable": "yellow"}


def reproduce(
    run: Annotated[
        str | None, typer.Argument(help="The id of a sealed run; `atlas query 'FROM runs'` lists them.")
    ] = None,
    plates: Annotated[list[str] | None, typer.Argument(help="Plates of the run; all of them by default.")] = None,
    *,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="Instead of a run: this many results of present instruments, drawn by the date."),
    ] = None,
    is_json: Annotated[bool, typer.Option("--json", help="Print what is written to the files as a JSON list.")] = False,
) -> None:
    """Run a sealed run again from its own manifest, beside it, and compare the results.

    The recorded spec, not the present YAML; the weights, the source and the results of other instruments by their
    recorded digests. Nothing is written into the plates' folders: what is found goes to
    `reproductions/RUN/TIME.json`, and with the next refresh into the ledger `reproductions`.

    A plate is *identical* (equal rows), *within tolerance* (the largest difference is given), *different*, or *not
    repeatable*, with the reason. A whole run is repeated in its own batches; single plates are measured in smaller
    ones, which moves the last digits.

    Exit codes: 0 if all are identical or within tolerance; 1 if a plate is different; 2 if none is different and a
    plate or the run cannot be repeated.
    """
    from atlas_assets.reproduction.repetition import Models, Repetition
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.models.memory import ModelLost

    if (run is None) == (sample is None):
        raise fail("Give the id of a RUN, or --sample N: exactly one of the two.")
    dataset, registry, models = open_dataset(), read_registry(), Models()
    results = []
    for sealed in _asked_runs(run, plates or [], sample):
        repetition = Repetition(dataset, sealed, registry.prompts, models)
        try:
            _repeat(repetition, is_quiet=is_json)
        except ModelLost as error:
            raise fail(f"{error} Nothing is written of {sealed.run_id}. {error.fix}") from None
        result, path = repetition.write()
        results.append(result)
        if not is_json:
            _print_summary(result, path)
    if is_json:
        typer.echo(f"[{','.join(result.model_dump_json() for result in results)}]")
    raise typer.Exit(_exit_code([plate for result in results for plate in result.plates]))


def _asked_runs(run: str | None, plate_ids: Sequence[str], sample: int | None) -> list["SealedRun"]:
    """The run that is named, or those of a sample. Exits with NOT_REPEATABLE for one that does not exist."""
    from atlas_assets.reproduction.sampling import sample_results
    from atlas_assets.reproduction.sealed_runs import RunUnknown, find_run
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.plates.json_files import DatasetBroken

    dataset = open_dataset()
    asked = {run: plate_ids} if run else sample_results(dataset, read_registry(), sample or 0, datetime.now(UTC).date())
    if not asked:
        raise _stop("no result of a present instrument whose weights and device are here is sealed. Fix: atlas run")
    try:
        return [find_run(dataset, run_id, some) for run_id, some in asked.items()]
    except (RunUnknown, DatasetBroken) as error:
        raise _stop(str(error)) from None


def _stop(message: str) -> typer.Exit:
    fail(message)
    return typer.Exit(NOT_REPEATABLE)


def _repeat(repetition: "Repetition", *, is_quiet: bool) -> None:
    """Repeats a run with a bar on standard error, and prints each plate as it is compared."""
    from atlas_assets.in_process.progress import TerminalProgress

    run = repetition.run
    with TerminalProgress(Console(stderr=True, emoji=False)) as progress:
        task = progress.add_task(run.first.instrument.key, total=len(run.plate_ids))
        for plate in repetition.plates():
            progress.advance(task)
            if not is_quiet:
                _print_plate(plate)
    if not is_quiet and run.failed:
        line = f"failed in this run, so there is no result to compare: {', '.join(run.failed)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_plate(plate: "ReproducedPlate") -> None:
    from atlas_assets.reproduction.verdicts import describe

    largest = "; ".join(describe(one) for one in plate.differences)
    detail = plate.reason or largest
    line = f"{plate.plate_id}  {plate.verdict.replace('_', ' ')}{f'  {detail}' if detail else ''}"
    console.print(line, style=COLOURS[plate.verdict], markup=False, highlight=False, soft_wrap=True)


def _print_summary(result: "Reproduction", path: str) -> None:
    counts = Counter(plate.verdict for plate in result.plates)
    summed = ", ".join(f"{counts[verdict]} {verdict.replace('_', ' ')}" for verdict in COLOURS)
    changes = [f"{one.name} {one.sealed or 'none'} -> {one.present or 'none'}" for one in result.changes]
    since = "; ".join(changes) or "nothing that the run recorded of packages, device and code"
    for line in (
        f"{result.run_id} ({result.instrument.key}): {summed}",
        f"changed since it was sealed: {since}",
        f"written: {path}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _exit_code(plates: Sequence["ReproducedPlate"]) -> int:
    verdicts = {plate.verdict for plate in plates}
    return DIFFERENT if "different" in verdicts else NOT_REPEATABLE if "not_repeatable" in verdicts else 0
