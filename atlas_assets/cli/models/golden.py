"""`atlas models golden`: the golden test of a fast numeric mode."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, fail

SHOWN_COUNT = 5
"""How many plates are printed, farthest from float32 first."""


def models_golden(
    name: Annotated[str, typer.Argument(help="Key, model id or alias of an instrument in a fast mode.")],
    plates: Annotated[
        Path | None, typer.Option(help="A folder of scans to test on, in addition to the 24 drawn golden plates.")
    ] = None,
) -> None:
    """Compare a fast numeric mode with float32 on golden plates, and record the result in the spec.

    The plate with the lowest cosine decides: from 0.999 the mode is admitted; below, it is refused with that figure
    and the exit code is 1.
    """
    from atlas_assets.cli.models.docs import DOCS_NAME
    from atlas_assets.cli.models.golden_measurement import measure_golden, record_golden
    from atlas_resources.instruments.registry import read_registry

    registry, scans = read_registry(), _scans(plates)
    try:
        spec = registry.require(name)
        golden, found = measure_golden(spec, scans)
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    except (ValueError, RuntimeError, OSError) as error:
        raise fail(str(error)) from None
    path = registry.path_of(spec.key)
    record_golden(path, golden)
    table = Table("plate", "cosine to float32", title=f"the farthest of {golden.plates} golden plates")
    for plate in sorted(found, key=lambda plate: plate.cosine)[:SHOWN_COUNT]:
        table.add_row(cell(plate.name), f"{plate.cosine:.6f}")
    console.print(table)
    status = read_registry().status(spec.key)
    console.print(f"recorded cosine_min {golden.cosine_min:.6f} in {path}", markup=False, soft_wrap=True)
    console.print(f"{spec.key}: {status.name}{status.reason and ': '}{status.reason}", markup=False, soft_wrap=True)
    console.print(f"to update {DOCS_NAME}: atlas models docs")
    if status.name != "admitted":
        raise typer.Exit(1)


def _scans(folder: Path | None) -> list[Path]:
    from atlas_resources.plates.intake.scan_plan import list_scans

    if folder is None:
        return []
    found = list(list_scans(folder))
    if not found or not folder.exists():
        raise fail(f"no scans found in {folder}")
    return found
