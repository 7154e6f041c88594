"""Where the project's files are: specs and settings that ship with the packages, and those of one's own project."""

import os
from pathlib import Path

PROJECT_VARIABLE = "ATLAS_PROJECT"
# The folder that has atlas_assets, atlas_resources and model_specs side by side: a checkout, or site-packages.
PROJECT_ROOT = Path(__file__).resolve().parents[2]
SPECS_FOLDER = PROJECT_ROOT / "model_specs"
SETTINGS_FOLDER = PROJECT_ROOT / "atlas_assets" / "project"
MARK = "automation.yaml"


class ProjectMissing(FileNotFoundError):
    """A folder that should be a project is none, or a file has no project to be written to."""


def own_project() -> Path | None:
    """The project that `atlas init` made: ATLAS_PROJECT if set, else the working directory if it is one.

    Raises:
        ProjectMissing: ATLAS_PROJECT names a folder that is no project.
    """
    named = os.environ.get(PROJECT_VARIABLE)
    folder = Path(named).expanduser().absolute() if named else Path.cwd()
    if (folder / MARK).is_file():
        return folder
    if named:
        raise ProjectMissing(f"{PROJECT_VARIABLE}={named}: expected a project; `atlas init {named}` makes one")
    return None


def spec_folders() -> tuple[Path, ...]:
    """The folders of specs: the packaged one, then the project's own."""
    own = own_project()
    return (SPECS_FOLDER, own / "model_specs") if own else (SPECS_FOLDER,)


def writable_project() -> Path:
    """Where new specs and docs are written: the project's own folder, or the checkout.

    Raises:
        ProjectMissing: there is neither; an installed package is not written to.
    """
    own = own_project()
    if own:
        return own
    if (PROJECT_ROOT / "pyproject.toml").is_file():
        return PROJECT_ROOT
    raise ProjectMissing("no project to write to: `atlas init FOLDER` makes one; then work in that folder")


def settings_path(name: str) -> Path:
    """A settings file such as `automation.yaml`: the project's own if there is one, else the packaged one."""
    own = own_project()
    if own and (own / name).is_file():
        return own / name
    return SETTINGS_FOLDER / name
