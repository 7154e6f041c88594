"""`atlas models pin`, `pull` and `verify`: the commands that ask a hub, and the one that hashes what came of it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from atlas_assets.cli.models.listing import models_app
from atlas_assets.cli.output import console, fail

if TYPE_CHECKING:
    from atlas_resources.hub.client import Hub
    from atlas_resources.hub.drafting import Draft
    from atlas_resources.hub.model_card import Capture
    from atlas_resources.hub.pulling import Step
    from atlas_resources.instruments.registry import Registry
    from atlas_resources.instruments.spec.spec import Spec

SpecsFolder = Annotated[
    Path | None, typer.Option("--specs", help="Folder of specs; the project's model_specs/ by default.")
]
COLOURS = {
    "there": "green", "fetched": "green", "nothing to fetch": "green", "ok": "green", "to fetch": "cyan",
    "to link": "cyan", "unpinned": "yellow", "missing": "yellow", "wrong": "red", "failed": "red",
}  # fmt: skip


def _registry(folder: Path | None) -> "Registry":
    from atlas_resources.files.project import SPECS_FOLDER
    from atlas_resources.instruments.registry import read_registry

    return read_registry(folder or SPECS_FOLDER)


def _notice(message: str) -> None:
    Console(stderr=True).print(message, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _named(registry: "Registry", names: list[str]) -> list["Spec"]:
    """The specs by key, model id or alias, each once; what is not plain is said on standard error."""
    specs = {}
    for name in names:
        try:
            found = registry.resolve(name)
        except KeyError as error:
            raise fail(str(error.args[0])) from None
        if found.notice:
            _notice(found.notice)
        specs[found.spec.key] = found.spec
    return list(specs.values())


def _chosen(registry: "Registry", names: list[str], roster: str | None, is_active: bool) -> list["Spec"]:
    if sum((bool(names), roster is not None, is_active)) != 1:
        raise fail("Name instruments, or give --roster SET, or give --active: one of the three.")
    if is_active:
        return [registry.specs[key] for key in sorted(registry.active)]
    if roster is None:
        named = _named(registry, names)
        if refused := next((spec for spec in named if spec.refusal), None):
            raise fail(f"{refused.key} {registry.status(refused.key).name}: {registry.status(refused.key).reason}")
        return named
    try:
        return registry.named_set(roster)
    except KeyError as error:
        raise fail(str(error.args[0])) from None


def _hub() -> "Hub":
    from atlas_resources.hub.client import hub_of_environment
    from atlas_resources.hub.errors import HubError

    try:
        return hub_of_environment()
    except HubError as error:
        raise fail(str(error)) from None


def _size(size_bytes: int | None) -> str:
    """Decimal units, as hubs and disks state them."""
    if size_bytes is None:
        return "-"
    size, units = float(size_bytes), ["B", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size_bytes} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


def _line(state: str, *words: str) -> None:
    """One line a file, for people and for grep."""
    told = escape("  ".join(word for word in words if word))
    console.print(f"[{COLOURS[state]}]{state:<16}[/] {told}", highlight=False, soft_wrap=True)


def _print_steps(steps: list["Step"]) -> None:
    for step in steps:
        told = "" if step.state == "failed" else step.detail  # what failed is told on standard error
        _line(step.state, f"{_size(step.size_bytes):>8}", f"{step.key}: {step.name}", told)


def _pulled(steps: list["Step"]) -> Iterator["Step"]:
    """Does each step in turn, with a bar on standard error for what is fetched."""
    from atlas_resources.hub.pulling import pull

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        for step in steps:
            if step.state != "to fetch":
                yield pull(step)
                continue
            task = progress.add_task(escape(f"{step.key}: {step.name}"), total=step.size_bytes)
            yield pull(step, lambda reached, task=task: progress.update(task, completed=reached))


@models_app.command("pull")
def models_pull(
    names: Annotated[list[str] | None, typer.Argument(help="Keys, model ids or aliases of instruments.")] = None,
    roster: Annotated[str | None, typer.Option(help="A named set of the roster, such as `minimum`.")] = None,
    is_active: Annotated[bool, typer.Option("--active", help="The active instruments of the roster.")] = False,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell sizes and what is there; fetch nothing.")] = False,
    specs: SpecsFolder = None,
) -> None:
    """Fetch the pinned files of instruments into the hub's cache; exit 1 unless all are there in the end.

    HF_ENDPOINT, HF_TOKEN and HF_HUB_CACHE are honoured. What was cut off goes on where it stopped.
    """
    from atlas_resources.hub.client import opened
    from atlas_resources.hub.errors import HubUnreachable
    from atlas_resources.hub.pulling import plan_pull

    chosen = _chosen(_registry(specs), names or [], roster, is_active)
    hub = _hub()
    with opened(hub):
        try:
            steps = [step for spec in chosen for step in plan_pull(hub, spec)]
        except HubUnreachable as error:
            raise fail(str(error)) from None
        to_fetch = [step for step in steps if step.state == "to fetch"]
        if not is_dry_run:
            steps = list(_pulled(steps))
    _print_steps(steps)
    total = _size(sum(step.size_bytes or 0 for step in to_fetch))
    failed = [step for step in steps if step.state == "failed"]
    done = "to fetch" if is_dry_run else "were to fetch"
    console.print(f"{len(steps)} files of {len(chosen)} instruments; {len(to_fetch)} {done}, {total}.")
    for step in failed:
        fail(f"{step.key}: {step.detail}")
    if failed:
        raise typer.Exit(1)


@models_app.command("pin")
def models_pin(
    asked: Annotated[str, typer.Argument(metavar="ID[@REV]", help="owner/name, at a branch, tag or commit if given.")],
    is_written: Annotated[bool, typer.Option("--write", help="Write it into the folder of specs.")] = False,
    key: Annotated[str | None, typer.Option(help="The spec's key; made of the name by default.")] = None,
    specs: SpecsFolder = None,
) -> None:
    """Draft a spec from what the hub says of a model, nulls for the rest, and say what a person must still declare."""
    from atlas_resources.hub.client import opened
    from atlas_resources.hub.drafting import draft_spec
    from atlas_resources.hub.errors import HubError
    from atlas_resources.hub.model_card import capture

    hub = _hub()
    try:
        with opened(hub):
            seen = capture(hub, asked)
        draft = draft_spec(seen, key)
    except HubError as error:
        raise fail(str(error)) from None
    if seen.model_id != asked.partition("@")[0]:
        _notice(f"{asked} is {seen.model_id} now.")
    if is_written:
        path = _write_draft(draft, specs)
        _print_capture(seen)
        console.print(f"written: {path}. A person must still declare:", markup=False, soft_wrap=True)
        for line in draft.to_declare:
            console.print(f"- {line}", markup=False, highlight=False, soft_wrap=True)
        console.print(f"Then: atlas models check; atlas models pull {draft.key}", markup=False, soft_wrap=True)
    else:
        typer.echo(draft.text, nl=False)  # to be piped as it stands


def _write_draft(draft: "Draft", folder: Path | None) -> Path:
    from atlas_resources.files.durable import write_synced
    from atlas_resources.files.project import SPECS_FOLDER

    path = (folder or SPECS_FOLDER) / f"{draft.key}.yaml"
    try:
        write_synced(path, draft.text.encode())
    except FileExistsError:
        raise fail(f"{path} is there already and is not overwritten. Give another --key, or remove it.") from None
    except OSError as error:
        raise fail(f"{path} cannot be written: {error.strerror}.") from None
    return path


def _print_capture(seen: "Capture") -> None:
    console.print(f"{seen.model_id} @{seen.revision}", markup=False, highlight=False, soft_wrap=True)
    for file in seen.files:
        told = f"{_size(file.size_bytes):>8}  {file.sha256 or '-':<64}  {file.path}"
        console.print(told, markup=False, highlight=False, soft_wrap=True)


@models_app.command("verify")
def models_verify(
    names: Annotated[list[str] | None, typer.Argument(help="Keys, model ids or aliases; all by default.")] = None,
    specs: SpecsFolder = None,
) -> None:
    """Hash what is on disk again, whatever is remembered; exit 1 where a file is not the pinned one."""
    from atlas_resources.models.weights import verify_weights

    registry = _registry(specs)
    chosen = _named(registry, names) if names else list(registry.specs.values())
    reports = [report for spec in chosen for report in verify_weights(spec)]
    for report in reports:
        _line(report.status, f"{report.key}: {report.name}", report.detail)
    counts = Counter(report.status for report in reports)
    console.print(", ".join(f"{counts[status]} {status}" for status in ("ok", "unpinned", "missing", "wrong")))
    if any(report.status == "wrong" for report in reports):
        raise typer.Exit(1)
