"""The states of plates as tables of a terminal: counts of each asset, and a sign for each plate and asset."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from atlas_resources.ledgers.completeness.states import GROUNDWORK, STATES, AssetStates, PlateState, State, counts_of

SIGNS: dict[State, tuple[str, str]] = {
    "done": ("+", "green"),
    "failed": ("x", "red"),
    "refused": ("!", "bold red"),
    "stale": ("~", "yellow"),
    "missing": (".", "dim"),
    "waiting": ("w", "cyan"),
    "withdrawn": ("-", "magenta"),
}
"""The sign and the colour of each state."""
GROUNDWORK_ASSETS = "plate/input_image\nplate/input_color_histograms"
MOST_PLATES = 40
"""With more, only plates that are not done everywhere are shown, and no more than these."""


def count_table(found: Sequence[AssetStates], title: str) -> Group:
    """A row for each asset: the number of its column in the matrix, and how many plates are in each state."""
    counts = [counts_of(states.plates) for states in found]
    shown: list[State] = [state for state in STATES if state == "done" or any(count[state] for count in counts)]
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    table.add_column("", justify="right", min_width=len(str(len(found))))
    table.add_column("asset", overflow="fold")  # in a narrow terminal, names are folded and counts stay whole
    for state in shown:
        header = f"{state} {SIGNS[state][0]}"
        table.add_column(header, justify="right", min_width=len(header))
    for number, (states, count) in enumerate(zip(found, counts, strict=True), start=1):
        cells = [Text(str(count[state]), style=SIGNS[state][1] if count[state] else "dim") for state in shown]
        name = GROUNDWORK_ASSETS if states.name == GROUNDWORK else states.asset
        table.add_row(str(number), escape(name), *cells)
    return Group(Text(title, style="italic"), table)


def state_table(found: Sequence[AssetStates]) -> Group | None:
    """A row for each plate, a numbered column for each asset, and a sign in each cell; None without a row to show.

    With more plates than MOST_PLATES it has only those that are not done everywhere, and no more than that many.
    """
    undone = {plate.plate_id for states in found for plate in states.not_done}
    ids = [plate.plate_id for plate in found[0].plates]
    open_ids = [plate_id for plate_id in ids if plate_id in undone]
    is_whole = len(ids) <= MOST_PLATES
    shown = ids if is_whole else open_ids[:MOST_PLATES]
    if not shown:
        return None
    more = len(ids if is_whole else open_ids) - len(shown)
    title = "every plate" if is_whole else f"{len(open_ids)} of {len(ids)} plates are not done everywhere"
    states_of: list[dict[str, State]] = [{plate.plate_id: plate.state for plate in states.not_done} for states in found]
    table = Table("plate", box=SIMPLE_HEAD, show_edge=False)
    for number in range(1, len(found) + 1):
        table.add_column(str(number), justify="center")
    for plate_id in shown:
        table.add_row(escape(plate_id), *(Text(*SIGNS[states.get(plate_id, "done")]) for states in states_of))
    return Group(Text(title, style="italic"), table, *([Text(f"and {more} more")] if more else []))


def failure_lines(found: Sequence[AssetStates]) -> Iterator[str]:
    """A line for each plate that failed or was given up, with the reason."""
    for states in found:
        for plate in states.not_done:
            if plate.state in ("failed", "refused"):
                yield f"{plate.plate_id} {_how(plate)} {states.asset}: {plate.reason}"


def _how(plate: PlateState) -> str:
    if plate.is_broken:
        return "cannot be read for"
    times = "once" if plate.attempts == 1 else f"{plate.attempts} times"
    return f"failed {times} and is given up in" if plate.state == "refused" else f"failed {times} in"


def reason_lines(found: Sequence[AssetStates]) -> Iterator[str]:
    """Why plates are stale or wait: a line for each asset and reason, with the number of plates."""
    for states in found:
        reasons = Counter(
            (plate.state, plate.what_changed if plate.state == "stale" else plate.reason)
            for plate in states.not_done
            if plate.state in ("stale", "waiting")
        )
        for (state, reason), count in reasons.items():
            yield f"{states.asset}: {count} {state}: {reason}"
