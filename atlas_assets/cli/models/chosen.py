"""Which instruments a command is about: by name, by a set of the roster, or the active ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from atlas_assets.cli.output import fail

if TYPE_CHECKING:
    from atlas_resources.instruments.registry import Registry
    from atlas_resources.instruments.spec.spec import Spec

SpecsFolder = Annotated[
    Path | None, typer.Option("--specs", help="Folder of specs; by default the packaged and the project's own.")
]


def registry_in(folder: Path | None) -> "Registry":
    """The instruments of a folder of specs; by default the packaged ones and the project's own."""
    from atlas_resources.instruments.registry import read_registry

    return read_registry(*([folder] if folder else []))


def notify(message: str) -> None:
    """Prints a remark on standard error, so that standard output can be piped."""
    Console(stderr=True, emoji=False).print(message, style="yellow", markup=False, highlight=False, soft_wrap=True)


def named_specs(registry: "Registry", names: list[str]) -> list["Spec"]:
    """The specs by key, model id or alias, each once. An alias is explained on standard error."""
    specs = {}
    for name in names:
        try:
            found = registry.resolve(name)
        except KeyError as error:
            raise fail(str(error.args[0])) from None
        if found.notice:
            notify(found.notice)
        specs[found.spec.key] = found.spec
    return list(specs.values())


def _spec_of_run(run_id: str) -> "Spec":
    """The spec that a sealed run of the dataset recorded. Exits with an error where it cannot be read."""
    from atlas_assets.reproduction.sealed_runs import NotRepeatable, read_spec_of
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        return read_spec_of(Dataset(dataset_root()), run_id)
    except NotRepeatable as error:
        raise fail(f"{run_id}: {error}") from None


def chosen_specs(
    registry: "Registry", names: list[str], roster: str | None, is_active: bool, run: str | None = None
) -> list["Spec"]:
    """The specs of exactly one choice: names, a set of the roster, the active instruments, or what a sealed run had.

    Exits with an error for none or several choices, and for a named instrument that is refused.
    """
    if sum((bool(names), roster is not None, is_active, run is not None)) != 1:
        raise fail("Give instruments by name, or --roster SET, or --active, or --run RUN: exactly one of the four.")
    if run is not None:
        return [_spec_of_run(run)]
    if is_active:
        return [registry.specs[key] for key in sorted(registry.active)]
    if roster is None:
        named = named_specs(registry, names)
        if refused := next((spec for spec in named if spec.refusal), None):
            raise fail(f"{refused.key} {registry.status(refused.key).name}: {registry.status(refused.key).reason}")
        return named
    try:
        return registry.named_set(roster)
    except KeyError as error:
        raise fail(str(error.args[0])) from None


def folder_to_write(specs: Path | None) -> Path:
    """The folder that new specs are written into. Exits with an error where there is no project to write to."""
    from atlas_resources.files.project import ProjectMissing, writable_project

    try:
        return specs or writable_project() / "model_specs"
    except ProjectMissing as error:
        raise fail(str(error)) from None


def write_new(path: Path, text: str) -> None:
    """Writes a new spec. Exits with an error if the file exists or cannot be written."""
    from atlas_resources.files.durable import write_synced

    try:
        write_synced(path, text.encode())
    except FileExistsError:
        raise fail(f"{path} exists already and is not overwritten. Give another --key, or remove the file.") from None
    except OSError as error:
        raise fail(f"{path} cannot be written: {error.strerror}.") from None
