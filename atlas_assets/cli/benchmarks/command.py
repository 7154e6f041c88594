"""`atlas models bench`: how fast an instrument that writes answers, with several plates at once."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, fail, open_dataset

if TYPE_CHECKING:
    from atlas_resources.instruments.instrument import Instrument
    from atlas_resources.plates.dataset import Dataset

CONCURRENCIES = "1,2,4,8"
"""What the view `stage_candidates` has columns for."""


def models_bench(
    name: Annotated[str, typer.Argument(help="Key, model id or alias of an instrument of role text.")],
    *,
    concurrency: Annotated[
        str, typer.Option(help="How many plates at once: numbers separated by commas.")
    ] = CONCURRENCIES,
    plates: Annotated[int, typer.Option(min=1, help="Plates to measure, in order of registration.")] = 8,
) -> None:
    """Measure how many plates per second an instrument answers about, by real calls with several plates at once.

    A model in this process is asked about one plate at a time, and has no figure for more. Nothing is sealed: the
    figures go to `benchmarks/KEY/TIME.json`, and with the next refresh into the ledger `benchmarks` and the view
    `stage_candidates`. For an instrument that reads another one's results, only plates that have them are measured.
    """
    from atlas_assets.roles.text.benchmarking import NotMeasurable, measure_benchmark, write_benchmark
    from atlas_resources.models.loading import load_model

    dataset, instrument, numbers = open_dataset(), _instrument(name), _numbers(concurrency)
    chosen = _plates(dataset, instrument, plates)
    table = Table("at once", "images per second", "measured", "failed", "seconds", "", title=cell(instrument.key))
    try:
        found = measure_benchmark(
            dataset, instrument, chosen, numbers, lambda: load_model(instrument.spec, instrument.prompts)
        )
    except (NotMeasurable, LookupError, ValueError, RuntimeError, OSError) as error:
        raise fail(str(error)) from None
    for figure in found.figures:
        rate = "-" if figure.images_per_second is None else f"{figure.images_per_second:.3f}"
        seconds = "-" if figure.seconds is None else f"{figure.seconds:.1f}"
        counts = (str(figure.image_count), str(figure.failure_count))
        table.add_row(str(figure.concurrency), rate, *counts, seconds, cell(figure.reason or ""))
    console.print(table)
    console.print(f"the first call, which is in no figure, took {found.cold_seconds:.1f} s", markup=False)
    path = write_benchmark(dataset, found)
    console.print(f"written: {path.relative_to(dataset.root).as_posix()}", markup=False, soft_wrap=True)
    if any(figure.failure_count for figure in found.figures):
        raise typer.Exit(1)


def _numbers(text: str) -> list[int]:
    """The numbers of plates at once. Exits with an error for what is no list of numbers from 1."""
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise fail(
            f"--concurrency: expected numbers from 1, separated by commas, such as {CONCURRENCIES}, found {text!r}"
        )
    return numbers


def _instrument(name: str) -> "Instrument":
    """The admitted instrument. Exits with an error for another one, saying what it waits for."""
    from atlas_resources.instruments.registry import read_registry

    registry = read_registry()
    try:
        spec = registry.require(name)
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    if spec.key not in registry.instruments:
        status = registry.status(spec.key)
        raise fail(f"{spec.key} is not admitted: {status.reason}. {status.fix(spec.variant_of or spec.key)}")
    return registry.instruments[spec.key]


def _plates(dataset: "Dataset", instrument: "Instrument", count: int) -> list[str]:
    """The first plates that have what the instrument reads. Exits with an error without any."""
    from atlas_resources.runs.sealed import find_done
    from atlas_resources.tables.results import asset_name

    found = []
    for plate in dataset.plates():
        if len(found) < count and all(find_done(plate, one.identity) for one in instrument.reads):
            found.append(plate.id)
    if not found:
        read = " and ".join(one.key for one in instrument.reads)
        fix = f"atlas run '+key:\"{asset_name(instrument.spec)}\"'"
        raise fail(
            f"no plate has the results of {read}, which {instrument.key} reads. Fix: {fix}"
            if read
            else f"{dataset.root} has no plates. Fix: atlas plates add FOLDER"
        )
    return found
