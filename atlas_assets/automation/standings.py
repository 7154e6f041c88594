"""The standing of every plate with every asset, by Dagster's keys: what runs can be requested for.

The states themselves are read by `ledgers.completeness`.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from functools import cached_property

import dagster as dg

from atlas_assets.graph.groundwork import INPUT_IMAGE_KEY, KEYS
from atlas_assets.graph.instruments import asset_key
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.ledgers.completeness.reading import read_completeness
from atlas_resources.ledgers.completeness.states import AssetStates, PlateState
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.memory import one_look

GROUNDWORK_PLATES_PER_RUN = 500


@dataclass(frozen=True)
class PlateStanding:
    """The standing of one plate with one asset.

    Attributes:
        plate_id: the plate.
        is_done: whether the asset is complete for the plate.
        attempts: number of failures with the asset's present version on the present source.
        is_broken: whether the plate's own files are unreadable, so that a retry does not help.
        reason: the last failure, or what cannot be read, one line.
        is_waiting: whether the asset reads another asset's result of the plate, which is missing.
        is_withdrawn: whether the plate or the instrument is withdrawn, so that nothing is asked for.
    """

    plate_id: str
    is_done: bool
    attempts: int = 0
    is_broken: bool = False
    reason: str = ""
    is_waiting: bool = False
    is_withdrawn: bool = False

    def is_given_up(self, most_attempts: int) -> bool:
        """Whether it failed too often, or in a way that a retry does not fix."""
        return not self.is_done and (self.is_broken or self.attempts >= most_attempts)


@dataclass(frozen=True)
class Standing:
    """The standing of every plate with one asset, or with two that are made together.

    Attributes:
        keys: the assets.
        version: what the results depend on besides the plate.
        plates_per_run: the most plates that one run should make.
        plates: the standing of each plate that is not done; others may be among them.
        upstream: the assets whose results this one reads.
    """

    keys: tuple[dg.AssetKey, ...]
    version: str
    plates_per_run: int
    plates: tuple[PlateStanding, ...]
    upstream: tuple[dg.AssetKey, ...] = ()

    def pending(self, most_attempts: int | None) -> list[str]:
        """Missing plates that have failed fewer times than `most_attempts`; all missing plates if None."""
        missing = (plate for plate in self.missing if most_attempts is None or not plate.is_given_up(most_attempts))
        return [plate.plate_id for plate in missing]

    @cached_property
    def missing(self) -> list[PlateStanding]:
        """Plates that are not done, not waiting and not withdrawn."""
        return [plate for plate in self.plates if not (plate.is_done or plate.is_waiting or plate.is_withdrawn)]

    @cached_property
    def waiting(self) -> frozenset[str]:
        """Plates that wait for the result of an asset that this one reads."""
        return frozenset(plate.plate_id for plate in self.plates if plate.is_waiting)

    def without(self, plate_ids: Set[str]) -> "Standing":
        """The same standing without some plates."""
        return replace(self, plates=tuple(plate for plate in self.plates if plate.plate_id not in plate_ids))

    @property
    def failed(self) -> list[PlateStanding]:
        """Plates that failed and are still not done."""
        return [plate for plate in self.plates if not plate.is_done and (plate.attempts or plate.is_broken)]


def _standing_of(plate: PlateState) -> PlateStanding:
    return PlateStanding(
        plate.plate_id,
        is_done=plate.state == "done",
        attempts=plate.attempts,
        is_broken=plate.is_broken,
        reason="" if plate.state == "waiting" else plate.reason,
        is_waiting=plate.state == "waiting",
        is_withdrawn=plate.state == "withdrawn",
    )


def read_standings(dataset: Dataset, instruments: Iterable[Instrument]) -> list[Standing]:
    """The groundwork's standing, then each instrument's, after those of the ones it reads; of plates that are not done.

    What is read, and how a plate's state is decided, is in `ledgers.completeness`.
    """
    with one_look(dataset.root):
        return [
            _instrument_standing(states.instrument, states) if states.instrument else _groundwork_standing(states)
            for states in read_completeness(dataset, instruments)
        ]


def _groundwork_standing(states: AssetStates) -> Standing:
    return Standing(KEYS, INPUT_IMAGE_KEY.to_user_string(), GROUNDWORK_PLATES_PER_RUN, _plates(states))


def _instrument_standing(instrument: Instrument, states: AssetStates) -> Standing:
    return Standing(
        (asset_key(instrument),),
        instrument.identity.fingerprint,
        instrument.spec.max_partitions_per_run,
        _plates(states),
        tuple(asset_key(one) for one in instrument.reads),
    )


def _plates(states: AssetStates) -> tuple[PlateStanding, ...]:
    return tuple(map(_standing_of, states.not_done))
