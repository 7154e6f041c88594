"""Ids of runs: a time and the instrument. The newest run of a plate is its current one, so that their order counts."""

import os
import re
import time
from datetime import UTC, datetime, timedelta

from atlas_resources.files.durable import make_folder, sync_folder
from atlas_resources.files.hosts.freshness import refresh
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.run_contracts import RUN_ID_PATTERN
from atlas_resources.sharing.worker import shared

CLOCK_TOLERANCE = timedelta(minutes=1)
"""Clocks of machines that share a dataset may differ by as much."""
SECOND = timedelta(seconds=1)
MOST_AHEAD = timedelta(seconds=10)
"""How far a run's id may be ahead of the clock, where several runs of an instrument begin in one second."""


class ClockSetBack(RuntimeError):
    """The clock is behind the newest run. The newest run of a plate is its current one, so that no run may be begun."""


def reserve_run_id(dataset: Dataset, fingerprint: str) -> str:
    """An unused run id, not older than any other. Creating its report folder reserves it for this process.

    A second that an earlier run of the instrument has is left to it: the next one is taken, and is waited for only if
    it is far ahead of the clock.

    Raises:
        ClockSetBack: the clock is behind the newest run by more than CLOCK_TOLERANCE.
    """
    make_folder(dataset.reports_dir)
    at = _time_of_run(dataset)
    while not _is_reserved(dataset, run_id := f"run-{at:%Y%m%d-%H%M%SZ}-{fingerprint[:8]}"):
        at += SECOND
        if at - datetime.now(UTC) > MOST_AHEAD:
            time.sleep(1)
    return run_id


def _is_reserved(dataset: Dataset, run_id: str) -> bool:
    """Whether an id was unused and is this process's now, on this machine and in the store if there is one."""
    folder = dataset.reports_dir / run_id
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    store = shared(dataset)
    if store is not None and not store.reserve_run_id(run_id):
        folder.rmdir()
        return False
    sync_folder(dataset.reports_dir)
    return True


def _time_of_run(dataset: Dataset) -> datetime:
    """The present time, or that of the newest run if the clock is a little behind it. Raises ClockSetBack."""
    now = datetime.now(UTC)
    refresh(dataset.reports_dir)
    run_ids = [name for name in os.listdir(dataset.reports_dir) if re.fullmatch(RUN_ID_PATTERN, name)]
    if not run_ids:
        return now
    newest = max(run_ids)
    at = datetime.strptime(newest[:20], "run-%Y%m%d-%H%M%SZ").replace(tzinfo=UTC)
    if at - now > CLOCK_TOLERANCE:
        raise ClockSetBack(
            f"the clock of this machine says {now:%Y-%m-%d %H:%M:%S} UTC, and {newest} in {dataset.reports_dir} is of "
            f"{at:%Y-%m-%d %H:%M:%S} UTC: a new run would count as older than that one. Fix: set the clock"
        )
    return max(now, at)
