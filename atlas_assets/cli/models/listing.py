"""`atlas models list`, `check`, `show` and `docs`: what the specs declare, and whether each instrument may run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atlas_assets.cli.models.chosen import registry_in
from atlas_assets.cli.output import console, counted, fail

CARD_WIDTH = 110

if TYPE_CHECKING:
    from atlas_resources.instruments.spec.spec import Spec


def models_list(
    named_set: Annotated[
        str | None, typer.Option("--set", help="Only this set of the roster: offline, minimum or full.")
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only this status: admitted, idea, refused or broken.")] = None,
    role: Annotated[str | None, typer.Option(help="Only this role, such as embedding or text.")] = None,
) -> None:
    """List every instrument: role, revision, licence, loader and status, with what is missing or why it is refused."""
    from atlas_assets.cli.models.tables import COLOURS, count_line, list_table, plain_lines
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.instruments.roles import ROLES

    registry = read_registry()
    if role and role not in ROLES:
        raise fail(f"no role {role!r}; expected {', '.join(ROLES)}.")
    if status and status not in COLOURS:
        raise fail(f"no status {status!r}; expected {', '.join(COLOURS)}.")
    try:
        specs = registry.named_set(named_set) if named_set else list(registry.specs.values())
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    if status:
        specs = [spec for spec in specs if registry.status(spec.key).name == status]
    if role:
        specs = [spec for spec in specs if spec.role == role]
    with_broken = not named_set and not role and status in {None, "broken"}
    if console.is_terminal:
        console.print(list_table(registry, specs, console.width, with_broken))
    else:
        typer.echo("\n".join(plain_lines(registry, specs, with_broken)))
    console.print(count_line(registry, specs), highlight=False)


def models_check(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of specs; by default the packaged and the project's own.")
    ] = None,
) -> None:
    """Check every spec; exit 1 if one is broken, with its file, field, what was found and what is expected."""
    registry = registry_in(folder)
    for problem in registry.problems:
        console.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{counted(len(registry.specs), 'spec')} read, {len(registry.instruments)} admitted, "
        f"{counted(len(registry.problems), 'problem')}"
    )
    if registry.problems or not registry.specs:
        raise typer.Exit(1)


def models_show(name: Annotated[str, typer.Argument(help="Key, model id or alias of an instrument.")]) -> None:
    """Show one instrument: pins, licence, preprocessing, known failure modes, sources, status and weights on disk.

    The output is the whole spec in YAML, the rest in comments: `atlas models show KEY > spec.yaml` can be read back.
    """
    from atlas_assets.cli.models.tables import card
    from atlas_resources.instruments.registry import read_registry

    registry = read_registry()
    try:
        found = registry.resolve(name)
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    if found.notice:
        _remark(found.notice, "yellow")
    if found.spec.variant_of:
        _remark(f"a variant of {found.spec.variant_of}, which has all that its own file does not state", "yellow")
    console.print(card(found.spec, CARD_WIDTH), markup=False, soft_wrap=True)
    status = registry.status(found.spec.key)
    if status.name != "admitted":
        words = "idea, not admitted" if status.name == "idea" else status.name
        _remark(f"{words}: {status.reason}", "yellow")
        return
    _remark(f"fingerprint {registry.instruments[found.spec.key].identity.fingerprint}")
    _print_weights(found.spec)


def _remark(text: str, style: str | None = None) -> None:
    """Prints a comment of YAML."""
    console.print("# " + " ".join(text.split()), style=style, markup=False, highlight=False, soft_wrap=True)


def _print_weights(spec: "Spec") -> None:
    from atlas_resources.models.weights import WeightsMismatch, WeightsMissing, require_weights

    try:
        weights = require_weights(spec)
    except (WeightsMissing, WeightsMismatch) as error:
        _remark(str(error), "yellow")
    else:
        for path in weights.files.values():
            _remark(f"on disk, digest right: {path}", "green")


def models_docs(
    path: Annotated[
        Path | None, typer.Argument(help="Where to write; the project's docs/models.md by default.")
    ] = None,
) -> None:
    """Write docs/models.md from the specs: every instrument with its pins, licence and known failure modes."""
    from atlas_assets.cli.models.docs import DOCS_NAME, models_page
    from atlas_resources.files.project import ProjectMissing, writable_project
    from atlas_resources.instruments.registry import read_registry

    try:
        target = path or writable_project() / DOCS_NAME
    except ProjectMissing as error:
        raise fail(str(error)) from None
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(models_page(read_registry()), encoding="utf-8")
    console.print(f"wrote {target}", markup=False, soft_wrap=True)
