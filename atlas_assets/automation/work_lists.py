"""Work lists: the few runs to request so that every missing plate is measured, and no other."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import dagster as dg

from atlas_assets.automation.standings import Standing
from atlas_assets.graph.dagster_internals import range_tags
from atlas_assets.graph.groundwork import KEYS, OP_NAME
from atlas_assets.graph.partitions import Partitions

AUTOMATION_TAG = "atlas/automation"  # the sensor or schedule that requested a run
BACKFILL_TAG = "atlas/backfill"  # the selection by which `atlas backfill` requested a run

Lists = dict[dg.AssetKey, tuple[str, ...]]
Undone = Mapping[dg.AssetKey, frozenset[str]]
"""The plates of each asset that are not done."""


@dataclass(frozen=True)
class WorkList:
    """One run to request: the plates of each asset.

    Attributes:
        plates: the plates that the run makes of each asset. An asset comes after those that it reads.
        first: a plate that all assets have. Its partition is the one that Dagster sees.
        partition: that partition; empty for the plate itself.
    """

    plates: Mapping[dg.AssetKey, tuple[str, ...]]
    first: str
    partition: str = ""

    @classmethod
    def of(cls, keys: Sequence[dg.AssetKey], plate_ids: Sequence[str]) -> "WorkList":
        """The same plates of several assets."""
        return cls(dict.fromkeys(keys, tuple(plate_ids)), plate_ids[0])

    def on(self, partitions: Partitions) -> "WorkList":
        """The same work list, under the partition of its first plate."""
        return replace(self, partition=partitions.keys_of([self.first]).get(self.first, ""))

    @property
    def keys(self) -> tuple[dg.AssetKey, ...]:
        """The assets."""
        return tuple(self.plates)

    @property
    def plate_ids(self) -> tuple[str, ...]:
        """Every plate of any asset, once."""
        return tuple(dict.fromkeys(plate_id for plate_ids in self.plates.values() for plate_id in plate_ids))


def work_lists(standings: Sequence[Standing], most_attempts: int | None, workers: int = 1) -> list[WorkList]:
    """The runs that make the missing plates, as few as the assets' sizes of a run allow.

    Run i has chunk i of each asset's missing plates, scattered or not: 200 missing of 1,000 are one chunk of 200. An
    asset that reads another's results has, besides the plates that only it lacks, those that the same run makes for it.
    Assets without a plate in common have runs of their own.

    Args:
        standings: of each asset; an asset comes after those that it reads.
        most_attempts: plates that failed as often are left out. None leaves out none.
        workers: over how many runs an asset's missing plates are spread, if a run of its size would take more.
    """
    undone = {key: _not_done(standing) for standing in standings for key in standing.keys}
    runs: list[Lists] = []
    for standing in standings:
        for number, chunk in enumerate(_chunks(standing, most_attempts, workers, runs, undone)):
            if number == len(runs):
                runs.append({})
            if chunk:
                runs[number].update(dict.fromkeys(standing.keys, chunk))
    by_key = {key: standing for standing in standings for key in standing.keys}
    return [work for lists in runs for work in _with_a_plate_in_common(lists, by_key, undone)]


def _not_done(standing: Standing) -> frozenset[str]:
    return frozenset(plate.plate_id for plate in standing.plates if not plate.is_done)


def _chunks(
    standing: Standing, most_attempts: int | None, workers: int, runs: Sequence[Lists], undone: Undone
) -> list[tuple[str, ...]]:
    """What each run has of an asset."""
    ready = standing.pending(most_attempts)
    size = max(1, min(standing.plates_per_run, math.ceil(len(ready) / workers)))
    chunks = [ready[start : start + size] for start in range(0, len(ready), size)]
    made = [_made_for(standing, lists, undone) for lists in runs]
    count = max(len(chunks), len(made))
    chunks += [[] for _ in range(count - len(chunks))]
    for number, plate_ids in enumerate(made):
        chunks[number] = [*chunks[number], *plate_ids]
    return [tuple(chunk) for chunk in chunks]


def _made_for(standing: Standing, lists: Lists, undone: Undone) -> list[str]:
    """The waiting plates of an asset for which a run makes all that is not done of what the asset reads."""
    made_of = {key: frozenset(lists.get(key, ())) for key in standing.upstream}
    made = dict.fromkeys(plate_id for key in standing.upstream for plate_id in lists.get(key, ()))
    waiting = standing.waiting if made else frozenset[str]()
    return [
        plate_id
        for plate_id in made
        if plate_id in waiting
        and all(plate_id in made_of[key] or plate_id not in undone.get(key, ()) for key in standing.upstream)
    ]


def _with_a_plate_in_common(lists: Lists, standings: Mapping[dg.AssetKey, Standing], undone: Undone) -> list[WorkList]:
    """Divides a run so that the assets of each part have a plate in common.

    Dagster knows one plate of a work list (see `tags_of`). If an asset did not make it, and the run failed, the UI
    would show that plate of the asset as failed.
    """
    works = []
    while lists:
        counts = Counter(plate_id for plate_ids in lists.values() for plate_id in plate_ids)
        first = max(counts, key=lambda plate_id: counts[plate_id])
        part: Lists = {}
        for key in [key for key, plate_ids in lists.items() if first in plate_ids]:
            # Of what it waits for it keeps what this part makes: the other parts are other runs.
            waiting, made = standings[key].waiting, frozenset(_made_for(standings[key], part, undone))
            plate_ids = tuple(one for one in lists.pop(key) if one not in waiting or one in made)
            if first in plate_ids:
                part[key] = plate_ids
        if part:
            works.append(WorkList(part, first))
    return works


def tags_of(work: WorkList) -> dict[str, str]:
    """The tags of a work list's run.

    Dagster (1.13) runs a partitioned asset with partitioned inputs only under a partition or a range. The range of one
    plate, or of its shard, satisfies it; the lists themselves are in the run's configuration.
    """
    key = work.partition or work.first
    return {**range_tags(key, key), "atlas/plates": str(len(work.plate_ids))}


def run_config_of(work: WorkList) -> dict:
    """The run configuration that gives a work list to the steps of its assets."""
    lists = {op_of(key): plate_ids for key, plate_ids in work.plates.items()}
    return {"ops": {op: {"config": {"plates": list(plate_ids)}} for op, plate_ids in sorted(lists.items())}}


def op_of(key: dg.AssetKey) -> str:
    """The name of the op that makes an asset over plates."""
    return OP_NAME if key in KEYS else key.to_python_identifier()
