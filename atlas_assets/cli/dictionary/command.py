"""`atlas dictionary`: writes the data dictionary, and records the columns and fields that this release adds."""

from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail


def dictionary(
    path: Annotated[
        Path | None, typer.Argument(help="Where to write; the project's docs/data-dictionary.md by default.")
    ] = None,
) -> None:
    """Write docs/data-dictionary.md from the schemas: every table, view, macro and JSON file, with types and units.

    New columns and fields are recorded with the version that brings them. A column or field that is gone, changed its
    type or became required is an error, and nothing is written.
    """
    from atlas_assets.cli.dictionary import record
    from atlas_assets.cli.dictionary.meanings import MeaningMissing
    from atlas_assets.cli.dictionary.page import PAGE_NAME, dictionary_page
    from atlas_assets.cli.dictionary.units import UnitUnknown
    from atlas_resources.files.project import ProjectMissing, writable_project
    from atlas_resources.instruments.registry import read_registry

    present, before = record.present_parts(), record.read_record()
    try:
        target = path or writable_project() / PAGE_NAME
        added, after = list(record.unrecorded(before, present)), record.updated(before, present)
        page = dictionary_page(read_registry(), after)
    except (ProjectMissing, ValueError, UnitUnknown, MeaningMissing) as error:
        raise fail(str(error)) from None
    if added:
        record.write_record(after)
        console.print(f"recorded {len(added)} columns and fields in {record.RECORD_PATH}", markup=False, soft_wrap=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    console.print(f"wrote {target}", markup=False, soft_wrap=True)
