"""Unfinished runs and the plates that they cover, whoever requested them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import dagster as dg

from atlas_assets.automation.work_lists import AUTOMATION_TAG, op_of
from atlas_assets.graph.dagster_internals import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    RETRY_RUN_TAG,
    WILL_RETRY_TAG,
)
from atlas_assets.graph.partitions import Partitions, known_partitions

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
RETRY_MINUTES = 5  # the daemon restarts a killed run within this time, or never


def unfinished_runs(instance: dg.DagsterInstance) -> Iterator[dg.DagsterRun]:
    """Yields unfinished runs, including killed runs that the daemon will start again."""
    yield from instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    if instance.run_retries_enabled:
        lately = datetime.now(UTC) - timedelta(minutes=RETRY_MINUTES)
        killed = dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.FAILURE], tags={WILL_RETRY_TAG: "true"}, updated_after=lately
        )
        yield from (run for run in instance.get_runs(killed) if RETRY_RUN_TAG not in run.tags)


def seconds_since_last_run(instance: dg.DagsterInstance) -> float:
    """How long ago a run last began or ended; 0 if there was none: an untouched library is about to be measured."""
    records = instance.get_run_records(limit=1, order_by="update_timestamp")
    return (datetime.now(UTC) - records[0].update_timestamp).total_seconds() if records else 0.0


def automation_runs(instance: dg.DagsterInstance) -> int:
    """The number of unfinished runs that sensors and the schedule requested."""
    return sum(AUTOMATION_TAG in run.tags for run in unfinished_runs(instance))


def plates_under_way(instance: dg.DagsterInstance, partitions: Partitions) -> Mapping[dg.AssetKey, set[str]]:
    """The plates of each asset that unfinished runs cover."""
    known = list(known_partitions(instance, partitions))
    asked: dict[dg.AssetKey, set[str]] = defaultdict(set)
    for run in unfinished_runs(instance):
        for key in run.asset_selection or ():
            asked[key].update(_plates_of(run, key, known, partitions))
    return asked


def _plates_of(run: dg.DagsterRun, key: dg.AssetKey, known: list[str], partitions: Partitions) -> Iterable[str]:
    """The plates that a run makes of an asset: its work list, else those of the run's partition or range of them."""
    ops: Any = run.run_config.get("ops") or {}
    listed = (ops.get(op_of(key)) or {}).get("config", {}).get("plates")
    if listed:
        return listed
    first = run.tags.get(RANGE_START_TAG) or run.tags.get(PARTITION_TAG)
    last = run.tags.get(RANGE_END_TAG) or first
    if first not in known or last not in known:
        return []
    return chain.from_iterable(partitions.plates_of(known[known.index(first) : known.index(last) + 1]).values())
