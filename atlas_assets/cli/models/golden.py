"""`atlas models golden`: the golden test of a fast numeric mode. Imports stand inside, so help is quick."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from atlas_assets.cli.models.hub import models_app
from atlas_assets.cli.output import cell, console, fail

SHOWN = 5  # of the farthest plates


@models_app.command("golden")
def models_golden(
    name: Annotated[str, typer.Argument(help="Key, model id or alias of an instrument in a fast mode.")],
    plates: Annotated[
        Path | None, typer.Option(help="A folder of scans to test on beside the 24 drawn golden plates.")
    ] = None,
) -> None:
    """Measure how near a fast mode comes to float32 on golden plates, and record it in the spec.

    The farthest plate decides: at a cosine of 0.999 the mode is admitted, below it is refused with the figure, and
    the exit code is 1.
    """
    from atlas_assets.cli.models.docs import DOCS_PATH
    from atlas_assets.cli.models.golden_test import measure_golden, record_golden
    from atlas_resources.instruments.registry import read_registry

    registry, scans = read_registry(), _scans(plates)
    try:
        spec = registry.require(name)
        golden, found = measure_golden(spec, scans)
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    except (ValueError, RuntimeError, OSError) as error:
        raise fail(str(error)) from None
    path = registry.folder / f"{spec.key}.yaml"
    record_golden(path, golden)
    table = Table("plate", "cosine to float32", title=f"the farthest of {golden.plates} golden plates")
    for plate in sorted(found, key=lambda plate: plate.cosine)[:SHOWN]:
        table.add_row(cell(plate.name), f"{plate.cosine:.6f}")
    console.print(table)
    status = read_registry().status(spec.key)
    console.print(f"recorded cosine_min {golden.cosine_min:.6f} in {path}", markup=False, soft_wrap=True)
    console.print(f"{spec.key}: {status.name}{status.reason and ': '}{status.reason}", markup=False, soft_wrap=True)
    console.print(f"docs: `atlas models docs` writes {DOCS_PATH.name} anew")
    if status.name != "admitted":
        raise typer.Exit(1)


def _scans(folder: Path | None) -> list[Path]:
    from atlas_resources.plates.scan_plan import list_scans

    if folder is None:
        return []
    found = list(list_scans(folder))
    if not found or not folder.exists():
        raise fail(f"no scans found in {folder}")
    return found
