"""Where every plate stands with every asset: done, failed, missing or waiting, read from the plates' own files."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import dagster as dg

from atlas_assets.graph.groundwork import INPUT_IMAGE_KEY, KEYS
from atlas_assets.graph.instruments import asset_key
from atlas_assets.roles.groundwork import read_failure, read_groundwork
from atlas_resources.instruments.instrument_identity import InstrumentIdentity
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.batches import source_digest
from atlas_resources.runs.sealed import find_done, find_failures

GROUNDWORK_PLATES_PER_RUN = 500


@dataclass(frozen=True)
class PlateStanding:
    """Where one plate stands with one asset.

    Attributes:
        plate_id: the plate.
        is_done: whether it owes the asset nothing.
        attempts: failures with the asset's present version on the present source.
        is_broken: its own files are unreadable; trying again mends nothing.
        reason: of the last failure, one line.
        is_waiting: whether the asset reads another's result of the plate, which is not there yet.
    """

    plate_id: str
    is_done: bool
    attempts: int = 0
    is_broken: bool = False
    reason: str = ""
    is_waiting: bool = False

    def is_left_alone(self, most_attempts: int) -> bool:
        """Whether it failed too often, or in a way that trying again does not mend."""
        return not self.is_done and (self.is_broken or self.attempts >= most_attempts)


@dataclass(frozen=True)
class Standing:
    """Where every plate stands with one asset, or two that are made together."""

    keys: tuple[dg.AssetKey, ...]
    version: str
    plates_per_run: int
    plates: tuple[PlateStanding, ...]

    def owed(self, most_attempts: int | None) -> list[str]:
        """Missing plates that have failed fewer times than `most_attempts`; all that are missing if None."""
        missing = (plate for plate in self.missing if most_attempts is None or not plate.is_left_alone(most_attempts))
        return [plate.plate_id for plate in missing]

    @property
    def missing(self) -> list[PlateStanding]:
        """Plates that are not done and wait for nothing."""
        return [plate for plate in self.plates if not plate.is_done and not plate.is_waiting]

    def without(self, plate_ids: Set[str]) -> "Standing":
        """The same, less some plates."""
        return replace(self, plates=tuple(plate for plate in self.plates if plate.plate_id not in plate_ids))

    @property
    def failed(self) -> list[PlateStanding]:
        """Plates that failed and are not done since."""
        return [plate for plate in self.plates if not plate.is_done and (plate.attempts or plate.is_broken)]


def _stand(
    dataset: Dataset, identity: InstrumentIdentity, upstream: InstrumentIdentity | None, plate_id: str
) -> PlateStanding:
    try:
        if find_done(dataset, plate_id, identity):
            return PlateStanding(plate_id, is_done=True)
        if upstream and not find_done(dataset, plate_id, upstream):
            return PlateStanding(plate_id, is_done=False, is_waiting=True)
        failures = find_failures(dataset, plate_id, identity)
        source_digest(dataset, plate_id)
    except (OSError, ValueError, LookupError) as error:
        return PlateStanding(plate_id, is_done=False, is_broken=True, reason=str(error))
    reason = failures[0].error.message.splitlines()[0] if failures and failures[0].error else ""
    return PlateStanding(plate_id, is_done=False, attempts=len(failures), reason=reason)


def _stand_groundwork(dataset: Dataset, plate_id: str) -> PlateStanding:
    try:
        if read_groundwork(dataset, plate_id):
            return PlateStanding(plate_id, is_done=True)
        failure = read_failure(dataset, plate_id)
        source_digest(dataset, plate_id)
    except (OSError, ValueError, LookupError) as error:
        return PlateStanding(plate_id, is_done=False, is_broken=True, reason=str(error))
    if failure is None:
        return PlateStanding(plate_id, is_done=False)
    return PlateStanding(plate_id, is_done=False, attempts=failure.attempts, reason=failure.message.splitlines()[0])


def read_standings(registry: Registry, dataset: Dataset, instruments: Sequence[str]) -> list[Standing]:
    """The groundwork's standing, then each named instrument's, over every registered plate.

    Costs a listing and a small file per plate and asset.
    """
    plate_ids = dataset.plate_ids()
    groundwork = tuple(_stand_groundwork(dataset, plate_id) for plate_id in plate_ids)
    standings = [Standing(KEYS, INPUT_IMAGE_KEY.to_user_string(), GROUNDWORK_PLATES_PER_RUN, groundwork)]
    for spec in registry.admitted:
        if spec.key in instruments:
            identity, upstream = registry.identities[spec.key], registry.identities.get(spec.upstream or "")
            plates = tuple(_stand(dataset, identity, upstream, plate_id) for plate_id in plate_ids)
            standings.append(Standing((asset_key(spec),), identity.fingerprint, spec.max_partitions_per_run, plates))
    return standings
