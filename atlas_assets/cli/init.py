"""`atlas init`: a project of one's own, with its own settings and specs beside the packaged ones."""

from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail


def init(folder: Annotated[Path, typer.Argument(help="Folder of the new project; made if it does not exist.")]) -> None:
    """Make a project of your own: settings, a workspace for Dagster, and a model_specs/ beside the packaged specs.

    Work in that folder, or set ATLAS_PROJECT to it. Specs that you put into its model_specs/ are read together with the
    packaged ones; its roster.yaml says which instruments automation acts on. Nothing that exists is overwritten.
    """
    from atlas_resources.files.durable import write_synced
    from atlas_resources.files.project import SETTINGS_FOLDER, SPECS_FOLDER

    files = {path.name: path for path in sorted(SETTINGS_FOLDER.iterdir()) if path.is_file()}
    files["model_specs/roster.yaml"] = SPECS_FOLDER / "roster.yaml"
    taken = [name for name in files if (folder / name).exists()]
    if taken:
        raise fail(f"{folder} has {', '.join(taken)} already; nothing was written. Choose another folder.")
    try:
        (folder / "model_specs").mkdir(parents=True, exist_ok=True)
        for name, path in files.items():
            write_synced(folder / name, path.read_bytes())
    except OSError as error:
        raise fail(f"{error.filename}: cannot be written: {error.strerror}") from None
    for name in files:
        console.print(str(folder / name), markup=False, highlight=False, soft_wrap=True)
    console.print(f"next: cd {folder}; atlas plates add SCANS; atlas run", markup=False, soft_wrap=True)
