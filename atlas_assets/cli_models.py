"""`atlas models`: the instruments of model_specs/ from a terminal. Imports stand inside, so help is quick."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from atlas_assets.cli_output import console, fail

models_app = typer.Typer(no_args_is_help=True, help="List and check the instruments of model_specs/.")


@models_app.command("list")
def models_list() -> None:
    """List every instrument: role, revision, licence, and whether it is admitted or what is missing."""
    from atlas_resources.registry import read_registry
    from atlas_resources.specs import missing_for_admission, model_sha

    registry = read_registry()
    table = Table("instrument", "role", "model", "revision", "licence", "status")
    for spec in registry.specs.values():
        missing = missing_for_admission(spec)
        revision = model_sha(spec) or "-"
        table.add_row(
            spec.key,
            spec.role,
            spec.model_id,
            revision[:12] if "==" not in revision else revision,
            spec.licence.spdx if spec.licence else "-",
            f"[green]admitted[/]{', active' if spec.key in registry.active else ''}"
            if not missing
            else "[yellow]idea[/]: " + escape("; ".join(missing)),
        )
    for problem in registry.problems:
        table.add_row(problem.file, "", "", "", "", f"[red]broken[/]: {escape(problem.field)}")
    console.print(table)


@models_app.command("check")
def models_check(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of specs; the project's model_specs/ by default.")
    ] = None,
) -> None:
    """Check every spec; exit 1 on a broken one, naming file, field, what was found and what is expected."""
    from atlas_resources.registry import SPECS_DIR, read_registry

    registry = read_registry(folder or SPECS_DIR)
    for problem in registry.problems:
        console.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{len(registry.specs)} specs read, {len(registry.admitted)} admitted, {len(registry.problems)} problems"
    )
    if registry.problems or not registry.specs:
        raise typer.Exit(1)


@models_app.command("show")
def models_show(key: Annotated[str, typer.Argument(help="Key of an instrument.")]) -> None:
    """Show one instrument's card: pins, terms, preprocessing, known ways to be wrong, where its weights lie."""
    import yaml

    from atlas_resources.registry import read_registry
    from atlas_resources.specs import fingerprint, missing_for_admission
    from atlas_resources.weights import WeightsMismatch, WeightsMissing, require_weights

    registry = read_registry()
    try:
        spec = registry.require(key)
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    console.print(
        yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110), markup=False
    )
    missing = missing_for_admission(spec)
    if missing:
        console.print(f"idea, not admitted: {'; '.join(missing)}", style="yellow")
        return
    from atlas_resources.registry import LOADERS

    console.print(f"fingerprint {fingerprint(spec, LOADERS[spec.loader].version)}")
    try:
        weights = require_weights(spec)
    except (WeightsMissing, WeightsMismatch) as error:
        console.print(str(error), style="yellow", markup=False, soft_wrap=True)
    else:
        for path in weights.files.values():
            console.print(f"on disk, digest right: {path}", style="green", soft_wrap=True)
