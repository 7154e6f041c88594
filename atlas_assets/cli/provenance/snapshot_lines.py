"""The lines that `atlas snapshot diff` prints."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas_resources.snapshots.differences import Differences, PlateChange

SHOWN = 20  # names in one line, and plates


def difference_lines(found: "Differences") -> Iterator[str]:
    """What differs between two states, a line each, then a summary."""
    yield from _named("plates added", found.plates_added)
    yield from _named("plates removed", found.plates_removed)
    for change in found.instruments:
        yield f"instrument {change.key}: {_short(change.before)} -> {_short(change.after)}"
    for plate in found.plates_changed[:SHOWN]:
        yield from _of_plate(plate)
    if len(found.plates_changed) > SHOWN:
        yield f"... and {len(found.plates_changed) - SHOWN} more plates: --json lists them"
    yield from _named("records", found.records)
    if found.is_empty:
        yield f"{found.before} and {found.after} are the same: {found.root_after}"
        return
    runs = sum(len(plate.runs) for plate in found.plates_changed)
    instruments = len(found.instruments)
    yield (
        f"{found.before} -> {found.after}: {len(found.plates_added)} plates added, {len(found.plates_removed)} "
        f"removed, {len(found.plates_changed)} changed; {runs} current runs differ; {instruments} instruments differ"
    )


def _of_plate(plate: "PlateChange") -> Iterator[str]:
    for run in plate.runs:
        yield f"{plate.plate_id}: current run of {run.instrument}: {run.before or 'none'} -> {run.after or 'none'}"
    for what, names in (("added", plate.added), ("removed", plate.removed), ("changed", plate.changed)):
        yield from _named(f"{plate.plate_id}: {what}", names)


def _named(label: str, names: tuple[str, ...]) -> Iterator[str]:
    if names:
        more = f", ... ({len(names)})" if len(names) > SHOWN else ""
        yield f"{label}: {', '.join(names[:SHOWN])}{more}"


def _short(fingerprint: str | None) -> str:
    return fingerprint[:8] if fingerprint else "none"
