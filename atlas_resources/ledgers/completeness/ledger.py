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


def rows_of(states: AssetStates, *, is_active: bool) -> Iterator[dict[str, Any]]:
    """The rows of one asset, by column."""
    for plate in states.plates:
        run_id, since = _evidence(plate)
        yield {
            "plate_id": plate.plate_id,
            "instrument": states.name,
            "asset": states.asset,
            "is_active": is_active,
            "state": plate.state,
            "reason": plate.reason or None,
            "attempts": plate.attempts,
            "run_id": run_id,
            "since": since,
            "what_changed": plate.what_changed or None,
        }


def _evidence(plate: PlateState) -> tuple[str | None, Any]:
    """The run that the state comes from, and its time."""
    if plate.attempts:
        return plate.failed_run_id, plate.failed_at
    if plate.result and plate.state in ("done", "stale"):
        return plate.result.run_id, plate.result.made_at
    return None, None


def _present_rows(dataset: Dataset, registry: Registry, most_attempts: int, plate_ids: Sequence[str]) -> pl.DataFrame:
    found = read_states(dataset, registry.instruments.values(), most_attempts, plate_ids)
    return COMPLETENESS.frame(
        row
        for states in found
        for row in rows_of(states, is_active=states.instrument is None or states.name in registry.active)
    )
