"""`atlas models`: the instruments of model_specs/ from a terminal. Imports stand inside, so help is quick."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atlas_assets.cli.output import console, fail

if TYPE_CHECKING:
    from atlas_resources.instruments.spec.spec import Spec

models_app = typer.Typer(no_args_is_help=True, help="List and check the instruments of model_specs/.")


@models_app.command("list")
def models_list(
    named_set: Annotated[
        str | None, typer.Option("--set", help="Only a set of the roster: offline, minimum, full.")
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only admitted, idea, refused or broken.")] = None,
) -> None:
    """List every instrument: role, revision, licence, and whether it is admitted, or what is missing, or why not."""
    from atlas_assets.cli.models.tables import COLOURS, count_line, list_table
    from atlas_resources.instruments.registry import read_registry

    registry = read_registry()
    if status and status not in COLOURS:
        raise fail(f"no status {status!r}; there are {', '.join(COLOURS)}.")
    try:
        specs = registry.named_set(named_set) if named_set else list(registry.specs.values())
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    if status:
        specs = [spec for spec in specs if registry.status(spec.key).name == status]
    with_broken = not named_set and status in {None, "broken"}
    console.print(list_table(registry, specs, console.width, with_broken))
    console.print(count_line(registry, specs), highlight=False)


@models_app.command("check")
def models_check(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of specs; the project's model_specs/ by default.")
    ] = None,
) -> None:
    """Check every spec; exit 1 on a broken one, naming file, field, what was found and what is expected."""
    from atlas_resources.files.project import SPECS_FOLDER
    from atlas_resources.instruments.registry import read_registry

    registry = read_registry(folder or SPECS_FOLDER)
    for problem in registry.problems:
        console.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{len(registry.specs)} specs read, {len(registry.admitted)} admitted, {len(registry.problems)} problems"
    )
    if registry.problems or not registry.specs:
        raise typer.Exit(1)


@models_app.command("show")
def models_show(name: Annotated[str, typer.Argument(help="Key, model id or alias of an instrument.")]) -> None:
    """Show one instrument's card: pins, terms, preprocessing, known ways to be wrong, sources, status."""
    from atlas_assets.cli.models.tables import card
    from atlas_resources.instruments.registry import read_registry

    registry = read_registry()
    try:
        found = registry.resolve(name)
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    if found.notice:
        console.print(found.notice, style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(card(found.spec, min(console.width, 110)), markup=False, soft_wrap=True)
    status = registry.status(found.spec.key)
    if status.name != "admitted":
        words = "idea, not admitted" if status.name == "idea" else status.name
        console.print(f"{words}: {status.reason}", style="yellow", markup=False, soft_wrap=True)
        return
    console.print(f"fingerprint {registry.identities[found.spec.key].fingerprint}")
    _say_where_weights_are(found.spec)


def _say_where_weights_are(spec: "Spec") -> None:
    from atlas_resources.models.weights import WeightsMismatch, WeightsMissing, require_weights

    try:
        weights = require_weights(spec)
    except (WeightsMissing, WeightsMismatch) as error:
        console.print(str(error), style="yellow", markup=False, soft_wrap=True)
    else:
        for path in weights.files.values():
            console.print(f"on disk, digest right: {path}", style="green", soft_wrap=True)


@models_app.command("docs")
def models_docs(
    path: Annotated[
        Path | None, typer.Argument(help="Where to write; the project's docs/models.md by default.")
    ] = None,
) -> None:
    """Write docs/models.md, the table of instruments for people who read claims, from the specs."""
    from atlas_assets.cli.models.docs import DOCS_PATH, models_page
    from atlas_resources.instruments.registry import read_registry

    target = path or DOCS_PATH
    target.write_text(models_page(read_registry()), encoding="utf-8")
    console.print(f"wrote {target}", markup=False, soft_wrap=True)
