"""`atlas status`: the state of each plate with each asset, and whether the ledgers are up to date."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atlas_assets.cli.output import console, counted, open_dataset, print_problems

if TYPE_CHECKING:
    from atlas_resources.instruments.registry import Registry
    from atlas_resources.ledgers.completeness.states import AssetStates
    from atlas_resources.plates.dataset import Dataset


@dataclass(frozen=True)
class _Library:
    """What a status says.

    Attributes:
        found: the states of plates, by asset.
        sources: how sources differ from the registered ones, a line each.
        behind: why the ledgers are behind; empty if they are not.
        page_behind: why the page is behind; empty if it is not, or if there is none.
        left_out: what the ledgers leave out, a line each.
        weights: which instruments have no weights on disk, a line each.
        problems: what is wrong in the roster and the specs, a line each.
        is_roster_wrong: whether nothing is active until the roster is right.
    """

    found: "Sequence[AssetStates]"
    sources: list[str]
    behind: str
    page_behind: str
    left_out: list[str]
    weights: list[str]
    problems: list[str]
    is_roster_wrong: bool

    @property
    def is_well(self) -> bool:
        """Whether nothing failed, no source changed, no sealed file is left out and the roster is right."""
        states = {plate.state for asset in self.found for plate in asset.not_done}
        return not (states & {"failed", "refused"} or self.sources or self.left_out or self.is_roster_wrong)


def status(
    all_: Annotated[bool, typer.Option("--all", help="Every admitted instrument, not only the active ones.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Show the state of every plate with every active asset, and whether the ledgers are up to date.

    A plate is done (+), failed (x), given up (!), stale (~: done by another version or source), missing (.) or waiting
    (w: for another asset). Given up means that it failed as often as `automation.yaml` allows, or that its own files
    cannot be read. With more than 40 plates, only those that are not done everywhere are listed. The reasons follow,
    and what changed since stale plates were done. In SQL: `FROM completeness`.

    Names instruments whose weights are not on disk, sources that changed, and sealed files that the ledgers leave out
    because they were altered. Reads the dataset only; nothing is materialised. The exit code is 1 if a plate failed or
    is given up, a source changed, a sealed file is left out, or the roster is wrong.
    """
    from atlas_resources.instruments.registry import read_registry

    dataset, registry = open_dataset(), read_registry()
    library = _read(dataset, registry, is_all=all_)
    if as_json:
        typer.echo(json.dumps(_as_json(dataset, registry, library), indent=1, ensure_ascii=False, default=str))
    else:
        _show(dataset, registry, library)
    if not library.is_well:
        raise typer.Exit(1)


def _read(dataset: "Dataset", registry: "Registry", *, is_all: bool) -> _Library:
    from atlas_assets.automation.settings import read_settings
    from atlas_resources.instruments.roster import is_roster_wrong
    from atlas_resources.ledgers.completeness.reading import read_completeness
    from atlas_resources.ledgers.freshness import why_behind
    from atlas_resources.ledgers.growth.signatures import source_changes
    from atlas_resources.ledgers.left_out import find_left_out
    from atlas_resources.models.weights import weights_missing
    from atlas_resources.page.state import why_behind as why_page_behind
    from atlas_resources.plates.index.facts import UNKNOWN_CHANGE
    from atlas_resources.plates.index.memory import one_look

    most_attempts = read_settings().most_attempts
    instruments = list(registry.instruments.values()) if is_all else registry.active_instruments
    with one_look(dataset.root):
        changes = source_changes(dataset).values
        return _Library(
            found=read_completeness(dataset, instruments, most_attempts),
            # A plate that cannot be read is listed as given up.
            sources=[change for change in changes.values() if change and change != UNKNOWN_CHANGE],
            behind=why_behind(dataset, registry, most_attempts),
            page_behind=why_page_behind(dataset),
            left_out=[str(fault) for fault in find_left_out(dataset)],
            weights=weights_missing(instruments),
            problems=[str(problem) for problem in registry.problems],
            is_roster_wrong=is_roster_wrong(registry.problems),
        )


def _show(dataset: "Dataset", registry: "Registry", library: _Library) -> None:
    from atlas_assets.cli.state.matrix import count_table, failure_lines, reason_lines, state_table
    from atlas_resources.page.state import MAKE

    console.print(count_table(library.found, f"{counted(len(library.found[0].plates), 'plate')} in {dataset.root}"))
    if matrix := state_table(library.found):
        console.print(matrix)
    _print_lines(failure_lines(library.found), "red")
    _print_lines(reason_lines(library.found), "yellow")
    _print_lines(library.weights, "yellow")
    _print_lines(library.sources, "red")
    console.print(f"ledgers: {library.behind or 'up to date'}", markup=False, soft_wrap=True)
    if library.page_behind:
        console.print(f"page: {library.page_behind}; to make it: {MAKE}", markup=False, soft_wrap=True)
    _print_lines((f"left out of the ledgers: {fault}" for fault in library.left_out), "red")
    print_problems(registry)


def _print_lines(lines: Any, style: str) -> None:
    for line in lines:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _as_json(dataset: "Dataset", registry: "Registry", library: _Library) -> dict[str, Any]:
    from atlas_resources.ledgers.completeness.ledger import frame_of_states
    from atlas_resources.ledgers.completeness.states import counts_of

    def is_active(states: "AssetStates") -> bool:
        return states.instrument is None or states.name in registry.active

    return {
        "dataset": str(dataset.root),
        "plate_count": len(library.found[0].plates),
        "assets": [
            {"instrument": states.name, "asset": states.asset, "is_active": is_active(states)}
            | dict(counts_of(states.plates))
            for states in library.found
        ],
        "plates": [
            row for states in library.found for row in frame_of_states(states, is_active=is_active(states)).to_dicts()
        ],
        "ledgers_behind": library.behind or None,
        "page_behind": library.page_behind or None,
        "left_out": library.left_out,
        "weights_missing": library.weights,
        "sources_changed": library.sources,
        "problems": library.problems,
        "is_well": library.is_well,
    }
