"""The states that `ledger/completeness` has of plates whose files did not change since its rows were made."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.ledgers.completeness._files import Context, Signatures
from atlas_resources.ledgers.completeness.states import GROUNDWORK, PlateState, Result, state_of_attempts
from atlas_resources.ledgers.growth.growing import NOTHING, read_made_of
from atlas_resources.ledgers.parquet import ledger_path, read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import MEASURE_VERSION
from atlas_resources.tables.completeness import COMPLETENESS

COLUMNS = ("plate_id", "instrument", "state", "reason", "attempts", "run_id", "since")


def known_states(
    dataset: Dataset,
    instruments: Sequence[Instrument],
    most_attempts: int,
    signatures: Signatures,
) -> dict[str, list[PlateState]]:
    """The states of the plates that are known, by id: with the groundwork, then with each instrument.

    A plate with a result of an earlier version or source is not among them: the ledger has not all that is known of it.

    Args:
        dataset: the dataset.
        instruments: the instruments.
        most_attempts: after as many failures, a plate is given up.
        signatures: what the states of plates follow from.
    """
    path = ledger_path(dataset, COMPLETENESS)
    made_of = read_made_of(path, COMPLETENESS)
    if made_of is NOTHING or not Context.of(dataset, instruments).is_part_of(made_of.context):
        return {}
    held = made_of.signatures
    same = [one for one, text in signatures.of_plates.items() if one not in signatures.unread and held.get(one) == text]
    if not same:
        return {}
    rows = read_ledger(dataset, COMPLETENESS, (*COLUMNS, "what_changed"))
    names = [GROUNDWORK, *(one.key for one in instruments)]
    versions = {GROUNDWORK: MEASURE_VERSION, **{one.key: one.identity.fingerprint for one in instruments}}
    rows = rows.filter(pl.col("instrument").is_in(names))
    partly = rows.filter(pl.col("what_changed").is_not_null())["plate_id"].unique()
    rows = rows.join(pl.DataFrame({"plate_id": same}), on="plate_id", how="semi").filter(
        ~pl.col("plate_id").is_in(partly.implode())
    )
    found: dict[str, list[PlateState | None]] = {}
    place_of = {name: place for place, name in enumerate(names)}
    for row in rows.select(COLUMNS).iter_rows():
        plate_id, name = row[:2]
        states = found.setdefault(plate_id, [None] * len(names))
        states[place_of[name]] = _state(row, versions[name], signatures.sources.get(plate_id), most_attempts)
    return {plate_id: [one for one in states if one] for plate_id, states in found.items() if None not in states}


def _state(row: tuple[Any, ...], version: str, source_sha256: str | None, most_attempts: int) -> PlateState:
    """The state that the COLUMNS of a row were made of, if no earlier result is known."""
    plate_id, _, state, reason, attempts, run_id, since = row
    if state == "done" and source_sha256:
        return PlateState(plate_id, state, result=Result(version, source_sha256, run_id, since))
    if attempts:
        state = state_of_attempts(attempts, most_attempts)
        return PlateState(plate_id, state, reason or "", attempts, failed_run_id=run_id, failed_at=since)
    return PlateState(plate_id, state, reason or "", is_broken=state == "refused")
