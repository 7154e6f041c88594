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
class Standing:
    """The standing of every plate with one asset, or with two that are made together.

    Attributes:
        keys: the assets.
        version: what the results depend on besides the plate.
        plates_per_run: the most plates that one run should make.
        plates: the state of each plate that is not done; others may be among them.
        upstream: the assets whose results this one reads.
    """

    keys: tuple[dg.AssetKey, ...]
    version: str
    plates_per_run: int
    plates: tuple[PlateState, ...]
    upstream: tuple[dg.AssetKey, ...] = ()

    def pending(self, most_attempts: int | None) -> list[str]:
        """Missing plates that have failed fewer times than `most_attempts`; all missing plates if None."""
        missing = (plate for plate in self.missing if most_attempts is None or not plate.is_given_up(most_attempts))
        return [plate.plate_id for plate in missing]

    @cached_property
    def missing(self) -> list[PlateState]:
        """Plates that are not done, not waiting and not withdrawn."""
        return [plate for plate in self.plates if plate.state not in ("done", "waiting", "withdrawn")]

    @cached_property
    def waiting(self) -> frozenset[str]:
        """Plates that wait for the result of an asset that this one reads."""
        return frozenset(plate.plate_id for plate in self.plates if plate.state == "waiting")

    def without(self, plate_ids: Set[str]) -> "Standing":
        """The same standing without some plates."""
        return replace(self, plates=tuple(plate for plate in self.plates if plate.plate_id not in plate_ids))

    @property
    def failed(self) -> list[PlateState]:
        """Plates that failed and are still not done."""
        return [plate for plate in self.plates if not plate.is_done and (plate.attempts or plate.is_broken)]


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
    return Standing(KEYS, INPUT_IMAGE_KEY.to_user_string(), GROUNDWORK_PLATES_PER_RUN, states.not_done)


def _instrument_standing(instrument: Instrument, states: AssetStates) -> Standing:
    return Standing(
        (asset_key(instrument),),
        instrument.identity.fingerprint,
        instrument.spec.max_partitions_per_run,
        states.not_done,
        tuple(asset_key(one) for one in instrument.reads),
    )
