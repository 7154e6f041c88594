"""`atlas models prompts`: the versioned texts that instruments are asked with, and the record that holds them."""

from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail

prompts_app = typer.Typer(no_args_is_help=True, help="List and record the prompt sets of model_specs/prompts/.")

Folder = Annotated[Path | None, typer.Argument(help="Folder of prompt sets; model_specs/prompts/ by default.")]


@prompts_app.command("list")
def prompts_list(folder: Folder = None) -> None:
    """List every version of every set with its texts and its digest; exit 1 where one is not as it was recorded."""
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


@prompts_app.command("record")
def prompts_record(folder: Folder = None) -> None:
    """Record the digest of each version that has none. A recorded version is never changed: write the next one."""
    from atlas_resources.instruments.prompts import PROMPTS_FOLDER, RECORD_NAME, read_prompts, record_prompts

    where = folder or PROMPTS_FOLDER
    try:
        names = record_prompts(where)
    except ValueError as error:
        raise fail(str(error)) from None
    sets = read_prompts(where).sets
    for name in names:
        console.print(f"recorded {name}: sha256 {sets[name].sha256}", markup=False, highlight=False, soft_wrap=True)
    if not names:
        console.print(f"nothing new; {where / RECORD_NAME} holds {len(sets)} versions", markup=False, soft_wrap=True)
