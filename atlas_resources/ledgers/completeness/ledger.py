"""`ledger/completeness`: the states as a table, and whether the table is behind them."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.completeness._files import Context, read_signatures
from atlas_resources.ledgers.completeness.reading import read_states
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS, AssetStates, PlateState
from atlas_resources.ledgers.growth.growing import grow, read_made_of, read_rows_of
from atlas_resources.ledgers.growth.made_of import MadeOf, differing_plates, stale_plates
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.completeness import COMPLETENESS

PLATES_AT_ONCE = 1_000
"""Plates whose states with every instrument are in memory at the same time."""


def build_completeness(dataset: Dataset, registry: Registry, most_attempts: int = MOST_ATTEMPTS) -> pl.LazyFrame:
    """`ledger/completeness`: every registered plate with the groundwork and every admitted instrument.

    Reads the plates whose files changed.
    """
    wanted, unread = _wanted(dataset, registry, most_attempts)

    def make(plate_ids: list[str], old: pl.DataFrame) -> tuple[pl.DataFrame, frozenset[str]]:
        return _present_rows(dataset, registry, most_attempts, plate_ids), unread & set(plate_ids)

    return grow(dataset, COMPLETENESS, wanted, make)


def _wanted(dataset: Dataset, registry: Registry, most_attempts: int) -> tuple[MadeOf, frozenset[str]]:
    """What the rows follow from, and the plates of which not all of it could be read."""
    context = Context.of(dataset, registry.instruments.values()).as_text(most_attempts, sorted(registry.active))
    found = read_signatures(dataset)
    return MadeOf(context, found.of_plates), found.unread


def changed_completeness(dataset: Dataset, registry: Registry, most_attempts: int) -> Iterator[str]:
    """Why the ledger is behind the plates' own files, if it is."""
    wanted, _ = _wanted(dataset, registry, most_attempts)
    path = ledger_path(dataset, COMPLETENESS)
    made_of = read_made_of(dataset, path, COMPLETENESS)
    stale, differing = stale_plates(made_of, wanted), differing_plates(made_of, wanted)
    if not differing:
        return
    present = COMPLETENESS.conform(_present_rows(dataset, registry, most_attempts, stale))
    known = COMPLETENESS.conform(read_rows_of(dataset, path, COMPLETENESS, differing))
    if present.equals(known):
        return
    rows = pl.concat([present.with_columns(is_new=True), known.with_columns(is_new=False)])
    rows = rows.filter(~pl.struct(COMPLETENESS.schema.names()).is_duplicated())
    changed = rows.select("plate_id", "instrument").unique()
    # The reason is part of a run key: another digest requests another refresh.
    digest = hashlib.sha256(repr(rows.filter("is_new").rows()).encode()).hexdigest()[:8]
    yield f"the state of {changed.height} plates of instruments changed ({digest})"


def frame_of_states(states: AssetStates, *, is_active: bool) -> pl.DataFrame:
    """The rows of one asset. Made by column, since most rows of a large library are of plates without a result."""
    plates, schema = states.plates, COMPLETENESS.schema
    evidence = [_evidence(plate) for plate in plates]
    columns: dict[str, Sequence[Any]] = {
        "plate_id": [plate.plate_id for plate in plates],
        "state": [plate.state for plate in plates],
        "reason": [plate.reason or None for plate in plates],
        "attempts": [plate.attempts for plate in plates],
        "run_id": [run_id for run_id, _ in evidence],
        "since": [since for _, since in evidence],
        "what_changed": [plate.what_changed or None for plate in plates],
    }
    rows = pl.DataFrame(columns, schema={name: schema[name] for name in columns})
    same = {"instrument": states.name, "asset": states.asset, "is_active": is_active}
    constants = [pl.lit(value, schema[name]).alias(name) for name, value in same.items()]
    return rows.with_columns(constants).select(schema.names())


def _evidence(plate: PlateState) -> tuple[str | None, Any]:
    """The run that the state comes from, and its time."""
    if plate.attempts:
        return plate.failed_run_id, plate.failed_at
    if plate.result and plate.state in ("done", "stale"):
        return plate.result.run_id, plate.result.made_at
    return None, None


def _present_rows(dataset: Dataset, registry: Registry, most_attempts: int, plate_ids: Sequence[str]) -> pl.DataFrame:
    frames = [COMPLETENESS.empty]
    for start in range(0, len(plate_ids), PLATES_AT_ONCE):
        at_once = plate_ids[start : start + PLATES_AT_ONCE]
        for states in read_states(dataset, registry.instruments.values(), most_attempts, at_once):
            is_active = states.instrument is None or states.name in registry.active
            frames.append(frame_of_states(states, is_active=is_active))
    return pl.concat(frames)
