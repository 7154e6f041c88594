"""The states that a plate may have with an asset, and what is known of each.

A new state is a value of `State` with its meaning in `STATES`. `reading.py` and `_groundwork.py` decide which state a
plate has; `atlas status` has a sign for each.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal, NamedTuple, overload

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.ledgers.completeness._runs import first_line
from atlas_resources.plates.records.withdrawal import Withdrawal
from atlas_resources.tables.results import asset_name

State = Literal["done", "failed", "refused", "stale", "missing", "waiting", "withdrawn"]
STATES: dict[State, str] = {
    "done": "complete, by the present version on the present source",
    "failed": "failed, and is tried again",
    "refused": "given up: failed too often, or the plate's own files cannot be read",
    "stale": "complete, but by another version or on another source",
    "missing": "without a result, and not tried by the present version",
    "waiting": "reads another asset's result of the plate, which is not done",
    "withdrawn": "the plate, or the instrument, was withdrawn and is not measured",
}
GROUNDWORK = "groundwork"
GROUNDWORK_ASSET = "plate/input_image"
MOST_ATTEMPTS = 3
"""Failures after which a plate is given up, where no `automation.yaml` says otherwise."""


@dataclass(frozen=True)
class Result:
    """A complete result of a plate that is on disk.

    Attributes:
        version: fingerprint of the instrument, or measure version of the groundwork.
        source_sha256: of the source that it was made from.
        run_id: the sealed run; None for the groundwork.
        made_at: when it was sealed or measured, UTC; None where no file states it.
    """

    version: str
    source_sha256: str
    run_id: str | None = None
    made_at: datetime | None = None


class PlateState(NamedTuple):
    """The state of one plate with one asset. A tuple, since there is one for each missing result of a library.

    Attributes:
        plate_id: the plate.
        state: one of STATES.
        reason: the last failure, what cannot be read, what the plate waits for, or why it is withdrawn, one line; empty
            for other states.
        attempts: failures of the present version on the present source.
        is_broken: whether the plate's own files cannot be read, so that a retry does not help.
        result: the newest complete result on disk, of the present version on the present source if there is one.
        failed_run_id: the newest failed run, of a plate that failed.
        failed_at: when it failed last, UTC.
        what_changed: what of `result` is not of the present; empty if the plate is done or has no result.
    """

    plate_id: str
    state: State
    reason: str = ""
    attempts: int = 0
    is_broken: bool = False
    result: Result | None = None
    failed_run_id: str | None = None
    failed_at: datetime | None = None
    what_changed: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the asset is complete for the plate."""
        return self.state == "done"

    def is_given_up(self, most_attempts: int) -> bool:
        """Whether it failed too often, or in a way that a retry does not fix."""
        return not self.is_done and (self.is_broken or self.attempts >= most_attempts)


class StatesInOrder(Sequence[PlateState]):
    """The states of plates in order of registration, of which those of done plates are made once they are asked for."""

    def __init__(
        self,
        places: Mapping[str, int],
        found: Mapping[str, PlateState],
        done: Callable[[], Mapping[str, PlateState]],
    ):
        """Takes the states that are known, and a function that makes the others.

        Args:
            places: the place of each plate in the order, by id, from 0.
            found: the states of some plates, of all that are not done among them.
            done: makes the states of the other plates, by id.
        """
        self._places, self._found, self._done = places, found, done

    @cached_property
    def _all(self) -> tuple[PlateState, ...]:
        done = self._done()
        return tuple(self._found.get(plate_id) or done[plate_id] for plate_id in self._places)

    @cached_property
    def not_done(self) -> tuple[PlateState, ...]:
        """Those that are not done."""
        others = [one for one in self._found.values() if one.state != "done"]
        return tuple(sorted(others, key=lambda one: self._places[one.plate_id]))

    def __len__(self) -> int:
        """The number of plates."""
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> PlateState: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[PlateState, ...]: ...
    def __getitem__(self, place: int | slice) -> PlateState | tuple[PlateState, ...]:
        """The state of the plate in a place."""
        return self._all[place]

    def __eq__(self, other: object) -> bool:
        """Whether the states are the same, in the same order."""
        return isinstance(other, Sequence) and self._all == tuple(other)

    __hash__ = None  # type: ignore[assignment] # it compares as a tuple does, and is no key


@dataclass(frozen=True)
class AssetStates:
    """The state of every registered plate with one instrument, or with the groundwork.

    Attributes:
        instrument: None for the groundwork.
        plates: in order of registration.
    """

    instrument: Instrument | None
    plates: Sequence[PlateState]

    @property
    def not_done(self) -> tuple[PlateState, ...]:
        """The plates that are not done, in order of registration."""
        return not_done(self.plates)

    @property
    def name(self) -> str:
        """Key of the instrument, or `groundwork`."""
        return self.instrument.key if self.instrument else GROUNDWORK

    @property
    def asset(self) -> str:
        """The asset; `plate/input_image` stands for both assets of the groundwork."""
        return asset_name(self.instrument.spec) if self.instrument else GROUNDWORK_ASSET


def not_done(plates: Sequence[PlateState]) -> tuple[PlateState, ...]:
    """The states other than done, in their order."""
    return plates.not_done if isinstance(plates, StatesInOrder) else tuple(one for one in plates if one.state != "done")


def counts_of(plates: Sequence[PlateState]) -> dict[State, int]:
    """How many plates are in each state, in the order of STATES."""
    others = not_done(plates)
    found = Counter(plate.state for plate in others)
    found["done"] = len(plates) - len(others)
    return {state: found[state] for state in STATES}


def broken(plate_id: str, reason: str) -> PlateState:
    """The state of a plate whose own files cannot be read."""
    return PlateState(plate_id, "refused", first_line(reason), is_broken=True)


def withdrawn_state(plate_id: str, entry: Withdrawal) -> PlateState:
    """The state of a plate that is not measured by an entry in `withdrawals/`."""
    return PlateState(plate_id, "withdrawn", entry.line)


def state_of_attempts(attempts: int, most_attempts: int) -> State:
    """The state of a plate that failed so often."""
    return "refused" if attempts >= most_attempts else "failed"
