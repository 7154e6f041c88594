"""`atlas models prompts`: the versioned prompt sets, and the record of their digests."""

from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail

Folder = Annotated[Path | None, typer.Argument(help="Folder of prompt sets; model_specs/prompts/ by default.")]


def prompts_list(folder: Folder = None) -> None:
    """List every version of every set with its texts and digest; exit 1 if one differs from its recorded digest."""
    from atlas_resources.instruments.prompts import PROMPTS_FOLDER, read_prompts

    read = read_prompts(folder or PROMPTS_FOLDER)
    for one in read.sets.values():
        console.print(
            f"{one.set} version {one.version}, {one.kind}, sha256 {one.sha256}", highlight=False, soft_wrap=True
        )
        for prompt in one.prompts:
            console.print(f"  {prompt.id}: {prompt.text}", markup=False, highlight=False, soft_wrap=True)
    for problem in read.problems:
        console.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
    if read.problems:
        raise typer.Exit(1)


def prompts_record(folder: Folder = None) -> None:
    """Record the digest of each version that has none. Never change a recorded version: add the next one."""
    from atlas_resources.files.project import ProjectMissing, writable_project
    from atlas_resources.instruments.prompts import RECORD_NAME, read_prompts, record_prompts

    try:
        where = folder or writable_project() / "model_specs" / "prompts"
        names = record_prompts(where)
    except (ValueError, ProjectMissing) as error:
        raise fail(str(error)) from None
    sets = read_prompts(where).sets
    for name in names:
        console.print(f"recorded {name}: sha256 {sets[name].sha256}", markup=False, highlight=False, soft_wrap=True)
    if not names:
        console.print(f"nothing new; {where / RECORD_NAME} holds {len(sets)} versions", markup=False, soft_wrap=True)
