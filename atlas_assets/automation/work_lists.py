"""Work lists: the runs to request so that every missing plate is measured, and no other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import dagster as dg

from atlas_assets.automation.standings import Standing
from atlas_assets.graph.dagster_internals import range_tags
from atlas_assets.graph.groundwork import KEYS, OP_NAME

AUTOMATION_TAG = "atlas/automation"  # the sensor or schedule that requested a run
BACKFILL_TAG = "atlas/backfill"  # the selection by which `atlas backfill` requested a run


@dataclass(frozen=True)
class WorkList:
    """One run to request: the plates, and the assets for which exactly these are missing."""

    keys: tuple[dg.AssetKey, ...]
    plate_ids: tuple[str, ...]


def work_lists(standings: Sequence[Standing], most_attempts: int | None) -> Iterator[WorkList]:
    """Yields few work lists over the missing plates: each asset's plates in chunks of its own size.

    Assets with equal chunks share a run. So do scattered plates: 200 missing of 1,000 are one chunk of 200.
    """
    keys_of_chunk: dict[tuple[str, ...], list[dg.AssetKey]] = {}
    for standing in standings:
        pending = iter(standing.pending(most_attempts))
        while chunk := tuple(islice(pending, standing.plates_per_run)):
            keys_of_chunk.setdefault(chunk, []).extend(standing.keys)
    for plate_ids, keys in keys_of_chunk.items():
        yield WorkList(tuple(keys), plate_ids)


def tags_of(work: WorkList) -> dict[str, str]:
    """The tags of a work list's run.

    Dagster (1.13) runs a partitioned asset with partitioned inputs only under a partition or a range. The range of the
    list's first plate satisfies it; the list itself is in the run's configuration.
    """
    return {
        **range_tags(work.plate_ids[0], work.plate_ids[0]),
        "atlas/plates": str(len(work.plate_ids)),
    }


def run_config_of(work: WorkList) -> dict:
    """The run configuration that gives a work list to the steps of its assets."""
    ops = {OP_NAME if key in KEYS else key.to_python_identifier() for key in work.keys}
    return {"ops": {op: {"config": {"plates": list(work.plate_ids)}} for op in sorted(ops)}}
