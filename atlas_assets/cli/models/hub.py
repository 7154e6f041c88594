"""`atlas models pull`, `pin` and `verify`: fetch weights, draft a spec, hash what is on disk."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from atlas_assets.cli.models.chosen import (
    SpecsFolder,
    chosen_specs,
    folder_to_write,
    named_specs,
    notify,
    registry_in,
    write_new,
)
from atlas_assets.cli.output import console, counted, fail

if TYPE_CHECKING:
    from atlas_resources.hub.client import Hub
    from atlas_resources.hub.drafting.model_card import ModelCard
    from atlas_resources.hub.planning import Step

COLOURS = {
    "there": "green", "fetched": "green", "nothing to fetch": "green", "ok": "green", "to fetch": "cyan",
    "to link": "cyan", "unpinned": "yellow", "missing": "yellow", "wrong": "red", "failed": "red",
    "sent": "green", "not to sync": "green",
}  # fmt: skip


def _hub() -> "Hub":
    from atlas_resources.hub.client import hub_of_environment
    from atlas_resources.hub.errors import HubError

    try:
        return hub_of_environment()
    except HubError as error:
        raise fail(str(error)) from None


def size_text(size_bytes: int | None) -> str:
    """Decimal units, as hubs and disks state them."""
    if size_bytes is None:
        return "-"
    size, units = float(size_bytes), ["B", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size_bytes} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


def state_line(state: str, *words: str) -> None:
    """Prints one line per file, for people and for grep."""
    text = escape("  ".join(word for word in words if word))
    console.print(f"[{COLOURS[state]}]{state:<16}[/] {text}", highlight=False, soft_wrap=True)


def _print_steps(steps: list["Step"]) -> None:
    for step in steps:
        detail = "" if step.state == "failed" else step.detail  # failures go to standard error
        state_line(step.state, f"{size_text(step.size_bytes):>8}", f"{step.key}: {step.name}", detail)


def _pulled(steps: list["Step"]) -> Iterator["Step"]:
    """Does each step in turn, with a progress bar on standard error for each download."""
    from atlas_resources.hub.pulling import pull

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        for step in steps:
            if step.state != "to fetch":
                yield pull(step)
                continue
            task = progress.add_task(escape(f"{step.key}: {step.name}"), total=step.size_bytes)
            yield pull(step, lambda reached, task=task: progress.update(task, completed=reached))


def models_pull(
    names: Annotated[list[str] | None, typer.Argument(help="Keys, model ids or aliases of instruments.")] = None,
    *,
    roster: Annotated[str | None, typer.Option(help="A named set of the roster, such as `minimum`.")] = None,
    is_active: Annotated[bool, typer.Option("--active", help="The active instruments of the roster.")] = False,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="What a sealed run pinned; its spec may be older than the present one."
        ),
    ] = None,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show sizes and what is on disk; fetch nothing.")
    ] = False,
    specs: SpecsFolder = None,
) -> None:
    """Fetch the pinned files of instruments into the hub's cache; exit 1 if any is missing afterwards.

    HF_ENDPOINT, HF_TOKEN and HF_HUB_CACHE are honoured. An interrupted download resumes where it stopped.
    """
    from atlas_resources.hub.client import hub_session
    from atlas_resources.hub.errors import HubUnreachable
    from atlas_resources.hub.planning import plan_pull

    chosen = chosen_specs(registry_in(specs), names or [], roster, is_active, run)
    hub = _hub()
    with hub_session(hub):
        try:
            steps = [step for spec in chosen for step in plan_pull(hub, spec)]
        except HubUnreachable as error:
            raise fail(str(error)) from None
        to_fetch = [step for step in steps if step.state == "to fetch"]
        if not is_dry_run:
            steps = list(_pulled(steps))
    _print_steps(steps)
    total = size_text(sum(step.size_bytes or 0 for step in to_fetch))
    failed = [step for step in steps if step.state == "failed"]
    done = "to fetch" if is_dry_run else "were to fetch"
    console.print(
        f"{counted(len(steps), 'file')} of {counted(len(chosen), 'instrument')}; {len(to_fetch)} {done}, {total}."
    )
    for step in failed:
        fail(f"{step.key}: {step.detail}")
    if failed:
        raise typer.Exit(1)


def models_pin(
    asked: Annotated[
        str | None,
        typer.Argument(metavar="ID[@REV]", help="owner/name, with a branch, tag or commit after @ if wanted."),
    ] = None,
    *,
    is_written: Annotated[bool, typer.Option("--write", help="Write the draft into the folder of specs.")] = False,
    key: Annotated[str | None, typer.Option(help="The spec's key; by default derived from the name.")] = None,
    filled: Annotated[
        str | None, typer.Option("--fill", metavar="KEY", help="Instead, complete the present spec of this key.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="SPDX id, or `unknown`, where the hub states no clear licence.")
    ] = None,
    specs: SpecsFolder = None,
) -> None:
    """Draft a spec from a model's page at the hub and from what its family always has; or complete a present one.

    What neither says is null in the draft and listed: a person must declare it.
    """
    if (asked is None) == (filled is None):
        raise fail("Give either the ID of a model, or --fill KEY.")
    if asked is None:
        _fill(str(filled), licence, specs)
    else:
        _draft(asked, is_written, key, licence, specs)


def _draft(asked: str, is_written: bool, key: str | None, licence: str | None, specs: Path | None) -> None:
    from atlas_resources.hub.client import hub_session
    from atlas_resources.hub.drafting.model_card import fetch_model_card
    from atlas_resources.hub.drafting.spec_draft import draft_spec
    from atlas_resources.hub.errors import HubError

    hub = _hub()
    try:
        with hub_session(hub):
            card = fetch_model_card(hub, asked)
        draft = draft_spec(card, key, licence)
    except HubError as error:
        raise fail(str(error)) from None
    if card.model_id != asked.partition("@")[0]:
        notify(f"{asked} is {card.model_id} now.")
    if not is_written:
        typer.echo(draft.text, nl=False)  # the draft alone, so that it can be piped
        return
    path = folder_to_write(specs) / f"{draft.key}.yaml"
    write_new(path, draft.text)
    _print_model_card(card)
    console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    _print_status(draft.key, specs)
    if draft.to_declare:
        console.print("A person must still declare:")
    for line in draft.to_declare:
        console.print(f"- {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Then: atlas models check; atlas models pull {draft.key}", markup=False, soft_wrap=True)


def _fill(name: str, licence: str | None, specs: Path | None) -> None:
    from atlas_resources.files.durable import write_bytes_atomically
    from atlas_resources.hub.client import hub_session
    from atlas_resources.hub.drafting.filling import fill_spec
    from atlas_resources.hub.errors import HubError

    registry = registry_in(specs)
    (spec,) = named_specs(registry, [name])
    status = registry.status(spec.key)
    if status.name != "idea":
        console.print(f"{spec.key}: {status.name}; nothing is filled in. {status.reason}", markup=False, soft_wrap=True)
        return
    if spec.variant_of or spec.region:
        raise fail(f"{spec.key} has no facts of its own. Fill {spec.variant_of or spec.upstream} instead.")
    path, hub = registry.path_of(spec.key), _hub()
    try:
        with hub_session(hub):
            done = fill_spec(hub, spec, path.read_text(encoding="utf-8"), _pull_one, licence)
    except HubError as error:
        raise fail(str(error)) from None
    if done.lines:
        write_bytes_atomically(path, done.text.encode())
        console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    for line in done.lines or ["the hub states nothing that the spec lacks"]:
        console.print(f"- {line}", markup=False, highlight=False, soft_wrap=True)
    _print_status(spec.key, specs)
    console.print(f"Then: atlas models pull {spec.key}; atlas models docs", markup=False, soft_wrap=True)


def _pull_one(step: "Step") -> "Step":
    return next(_pulled([step]))


def _print_status(key: str, specs: Path | None) -> None:
    """Prints a written spec's status, or what is wrong with its file; exits with an error for the latter."""
    registry = registry_in(specs)
    if key not in registry.specs:
        raise fail("\n".join(str(problem) for problem in registry.problems if problem.file.endswith(f"{key}.yaml")))
    status = registry.status(key)
    reason = f": {status.reason}" if status.reasons else ""
    console.print(f"{key}: {status.name}{reason}", markup=False, highlight=False, soft_wrap=True)


def _print_model_card(card: "ModelCard") -> None:
    console.print(f"{card.model_id} @{card.revision}", markup=False, highlight=False, soft_wrap=True)
    for file in card.files:
        line = f"{size_text(file.size_bytes):>8}  {file.sha256 or '-':<64}  {file.path}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def models_verify(
    names: Annotated[list[str] | None, typer.Argument(help="Keys, model ids or aliases; all by default.")] = None,
    specs: SpecsFolder = None,
) -> None:
    """Hash the files on disk again, ignoring remembered digests; exit 1 if a file is not the pinned one."""
    from atlas_resources.models.weights import verify_weights

    registry = registry_in(specs)
    chosen = named_specs(registry, names) if names else list(registry.specs.values())
    reports = [report for spec in chosen for report in verify_weights(spec)]
    for report in reports:
        state_line(report.status, f"{report.key}: {report.name}", report.detail)
    counts = Counter(report.status for report in reports)
    console.print(", ".join(f"{counts[status]} {status}" for status in ("ok", "unpinned", "missing", "wrong")))
    if any(report.status == "wrong" for report in reports):
        raise typer.Exit(1)
