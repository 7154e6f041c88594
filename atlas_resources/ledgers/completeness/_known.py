"""The states that `ledger/completeness` has of plates whose files did not change since its rows were made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.ledgers.completeness._files import Context, Signatures
from atlas_resources.ledgers.completeness.states import GROUNDWORK, PlateState, Result, state_of_attempts
from atlas_resources.ledgers.growth.growing import read_made_of, read_rows_of
from atlas_resources.ledgers.growth.made_of import NOTHING
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import MEASURE_VERSION
from atlas_resources.tables.completeness import COMPLETENESS

COLUMNS = ("plate_id", "instrument", "state", "reason", "attempts", "run_id", "since")
DONE = pl.col("state") == "done"


@dataclass(frozen=True)
class Known:
    """What the ledger has of plates whose files did not change.

    Attributes:
        plate_ids: these plates.
        others: the states other than done, by instrument and plate.
        done: a function for each instrument, which makes the states of plates that are done, by id.
    """

    plate_ids: frozenset[str]
    others: Mapping[str, Mapping[str, PlateState]]
    done: Mapping[str, Callable[[], Mapping[str, PlateState]]]


def known_states(
    dataset: Dataset,
    instruments: Sequence[Instrument],
    most_attempts: int,
    signatures: Signatures,
) -> Known:
    """The states of the plates that are known: with the groundwork, and with each instrument.

    A plate with a result of an earlier version or source is not among them: the ledger has not all that is known of it.

    Args:
        dataset: the dataset.
        instruments: the instruments.
        most_attempts: after as many failures, a plate is given up.
        signatures: what the states of plates follow from.
    """
    versions = {GROUNDWORK: MEASURE_VERSION, **{one.key: one.identity.fingerprint for one in instruments}}
    rows = _present_rows(dataset, instruments, signatures, list(versions))
    others: dict[str, dict[str, PlateState]] = {name: {} for name in versions}
    for row in rows.filter(~DONE).select(COLUMNS).iter_rows():
        plate_id, name = row[:2]
        others[name][plate_id] = _state(row, versions[name], None, most_attempts)
    by_name = rows.filter(DONE).select(COLUMNS).partition_by("instrument", as_dict=True)

    def done_by(name: str) -> Callable[[], Mapping[str, PlateState]]:
        found, version = by_name.get((name,)), versions[name]
        return lambda: {
            row[0]: _state(row, version, signatures.sources.get(row[0]), most_attempts)
            for row in (() if found is None else found.iter_rows())
        }

    return Known(frozenset(rows["plate_id"].unique()), others, {name: done_by(name) for name in versions})


def _present_rows(
    dataset: Dataset, instruments: Sequence[Instrument], signatures: Signatures, names: Sequence[str]
) -> pl.DataFrame:
    """The rows of the plates that are known, one for each of the names."""
    path, columns = ledger_path(dataset, COMPLETENESS), (*COLUMNS, "what_changed")
    nothing = COMPLETENESS.empty.select(columns)
    made_of = read_made_of(dataset, path, COMPLETENESS)
    if made_of is NOTHING or not Context.of(dataset, instruments).is_part_of(made_of.context):
        return nothing
    held = made_of.signatures
    same = [one for one, text in signatures.of_plates.items() if one not in signatures.unread and held.get(one) == text]
    if not same:
        return nothing
    rows = read_rows_of(dataset, path, COMPLETENESS, same, columns).filter(pl.col("instrument").is_in(names))
    is_whole = (pl.len() == len(names)) & pl.col("what_changed").is_null().all()
    whole = rows.group_by("plate_id").agg(is_whole.alias("is_whole")).filter("is_whole")
    return rows if whole.height * len(names) == rows.height else rows.join(whole, on="plate_id", how="semi")


def _state(row: tuple[Any, ...], version: str, source_sha256: str | None, most_attempts: int) -> PlateState:
    """The state that the COLUMNS of a row were made of, if no earlier result is known."""
    plate_id, _, state, reason, attempts, run_id, since = row
    if state == "done" and source_sha256:
        return PlateState(plate_id, state, result=Result(version, source_sha256, run_id, since))
    if attempts:
        state = state_of_attempts(attempts, most_attempts)
        return PlateState(plate_id, state, reason or "", attempts, failed_run_id=run_id, failed_at=since)
    return PlateState(plate_id, state, reason or "", is_broken=state == "refused")
