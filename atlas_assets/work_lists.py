"""Which plates an asset still owes, read from plate-local truth.

Who asks for them, and when, is in `automation` and `terminal`.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice

import dagster as dg

from atlas_assets.groundwork import INPUT_IMAGE_KEY, KEYS, read_failure, read_groundwork
from atlas_assets.instruments import asset_key
from atlas_resources.batches import source_digest
from atlas_resources.contracts import InstrumentIdentity
from atlas_resources.dataset import Dataset
from atlas_resources.registry import Registry
from atlas_resources.runs import find_done, find_failures

GROUNDWORK_PLATES_PER_RUN = 500
AUTOMATION_TAG = "atlas/automation"  # on every run that was not asked for by a person: which sensor or schedule asked
BACKFILL_TAG = "atlas/backfill"  # on every run that `atlas backfill` asked for: by which name


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


@dataclass(frozen=True)
class WorkList:
    """One run to ask for: plates, and the assets that want just these."""

    keys: tuple[dg.AssetKey, ...]
    plate_ids: tuple[str, ...]


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


def work_lists(standings: Sequence[Standing], most_attempts: int | None) -> Iterator[WorkList]:
    """Few runs over just what is owed: each asset's plates in chunks of its own size, equal chunks together.

    Scattered plates share a run: 200 missing of 1,000 are one chunk of 200.
    """
    keys_of_chunk: dict[tuple[str, ...], list[dg.AssetKey]] = {}
    for standing in standings:
        owed = iter(standing.owed(most_attempts))
        while chunk := tuple(islice(owed, standing.plates_per_run)):
            keys_of_chunk.setdefault(chunk, []).extend(standing.keys)
    for plate_ids, keys in keys_of_chunk.items():
        yield WorkList(tuple(keys), plate_ids)


def tags_of(work: WorkList) -> dict[str, str]:
    """The tags of a work list's run.

    Dagster (1.13) runs a partitioned asset with partitioned inputs only under a partition or a range. The range of the
    list's first plate alone satisfies it; the list itself travels in the run's configuration.
    """
    return {
        "dagster/asset_partition_range_start": work.plate_ids[0],
        "dagster/asset_partition_range_end": work.plate_ids[0],
        "atlas/plates": str(len(work.plate_ids)),
    }


def run_config_of(work: WorkList, *, paranoid: bool = False) -> dict:
    """The run configuration that hands a work list to the steps of its assets; `paranoid` as in `PlateRun`."""
    ops = {"groundwork" if key in KEYS else key.to_python_identifier() for key in work.keys}
    config = {"plates": list(work.plate_ids), **({"paranoid": True} if paranoid else {})}
    return {"ops": {op: {"config": config} for op in sorted(ops)}}
