"""`atlas verify`: whether every file of the dataset is the one that was registered, sealed or built."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from atlas_assets.cli.output import console, counted, fail

if TYPE_CHECKING:
    from atlas_resources.plates.dataset import Dataset
    from atlas_resources.verification.library import Verification

MEGABYTE = 1_000_000


def _print(verification: "Verification") -> None:
    """What was found, a line each, then what was looked at."""
    for finding in verification.findings:
        _show(str(finding), "red" if finding.is_fault else "yellow")
    kinds = Counter(finding.kind for finding in verification.findings)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "nothing wrong"
    counts = f"{counted(verification.plate_count, 'plate')}, {counted(verification.file_count, 'file')}"
    hashed = f"{verification.hashed_bytes / MEGABYTE:.1f} MB hashed in {verification.seconds:.1f} s"
    _show(f"{verification.level} verification: {found} ({counts}, {hashed})")
    if verification.root_sha256:
        _show(f"state of the library: {verification.root_sha256}")


def _show(line: str, style: str | None = None) -> None:
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _existing_dataset() -> "Dataset":
    """The dataset of ATLAS_HOME. Unlike `open_dataset`, makes and repairs nothing: that is what is verified."""
    from atlas_resources.plates.dataset import Dataset, dataset_root

    dataset = Dataset(dataset_root())
    if not dataset.plates_dir.is_dir():
        raise fail(f"{dataset.root} is no dataset: expected a folder plates_structured. Fix: set ATLAS_HOME")
    return dataset


def _ids_of(dataset: "Dataset", plates: str) -> list[str]:
    """Plate ids that are separated by commas; fails for one that is not registered."""
    plate_ids = [plate_id.strip() for plate_id in plates.split(",")]
    if unknown := set(plate_ids) - set(dataset.plate_ids()):
        raise fail(f"no such plates: {', '.join(sorted(unknown))}. `atlas plates list` shows the registered plates")
    return plate_ids


def verify(
    plates: Annotated[
        str | None, typer.Option(help="Only these plates, separated by commas, and nothing else.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="List and stat: hash no image and no Parquet file. For every night.")
    ] = False,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Hash every file again, decode masks and vectors, rebuild ledgers. For every month."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """Verify that every file is the one that was registered, sealed or built, and that nothing else is there.

    Sources, manifests, measured files, sealed results and reports are compared with the digests that were recorded when
    they were written; ledgers and the catalogue with the plates' own files. Without an option, a file is hashed unless
    `stat` says that it has not changed since an earlier verification hashed it. Changes nothing.

    Exit codes: 0 if nothing is wrong; files that a killed process left unfinished are listed and are not wrong. 1 if
    something is wrong: one line each, with the file, what was expected, what was found and how to fix it.
    """
    from atlas_assets.automation.settings import read_settings
    from atlas_assets.in_process.progress import TerminalProgress
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.verification.library import verify as verify_dataset

    if quick and deep:
        raise fail("use only one of --quick and --deep")
    dataset, registry = _existing_dataset(), read_registry()
    plate_ids = _ids_of(dataset, plates) if plates else None
    level = "quick" if quick else "deep" if deep else "standard"
    with TerminalProgress(Console(stderr=True) if as_json else console) as progress:
        bar = progress.add_task("plates", total=len(plate_ids or dataset.plate_ids()))
        found = verify_dataset(
            dataset,
            registry,
            level,
            plate_ids=plate_ids,
            most_attempts=read_settings().most_attempts,
            on_plate=lambda plate_id: progress.advance(bar),
        )
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1))
    else:
        _print(found)
    if not found.is_clean:
        raise typer.Exit(1)
