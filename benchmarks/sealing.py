"""What sealing a plate and Dagster's events of it cost, by part: `python -m benchmarks.sealing [PLATES]`.

Milliseconds of the wall clock, medians over plates: on a disk that other processes use, flushing takes longer.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import event
from sqlalchemy.engine import Engine

from atlas_assets.demo.plates import draw_demo_plates
from atlas_resources.event_storage import PooledSqliteEventLogStorage
from atlas_resources.files.durable import sync_folder, write_synced
from atlas_resources.instruments.registry import read_registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.sealing import Run
from benchmarks.batch_run import KEY, TRANSACTIONS, dagster_run, instance_of, sealed_run
from benchmarks.figures import ROUNDS, Figure

SEAL_GOAL_MS, EVENTS_GOAL_MS = 5, 15


class Clock:
    """Counts calls and their seconds, together and within each call of another function."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.inner_seconds: list[float] = []
        self.inner_counts: list[int] = []

    def outer(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, each of whose calls is one measured time."""

        def timed(*given: Any, **named: Any) -> Any:
            self.inner_seconds.append(0.0)
            self.inner_counts.append(0)
            started = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                self.seconds.append(time.perf_counter() - started)

        return timed

    def inner(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time is added to the call of the outer one in which it is made."""

        def timed(*given: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = function(*given, **named)
            if len(self.inner_counts) > len(self.seconds):
                self.inner_seconds[-1] += time.perf_counter() - started
                self.inner_counts[-1] += 1
            return result

        return timed


def median_ms(seconds: list[float]) -> float:
    """Milliseconds."""
    return 1000 * statistics.median(seconds)


def seal_counted(dataset: Dataset) -> Clock:
    """Seals every plate, and counts that and the flushes."""
    clock = Clock()
    with patch.object(Run, "seal", clock.outer(Run.seal)), patch.object(os, "fsync", clock.inner(os.fsync)):
        sealed_run(read_registry(), dataset)
    return clock


def floor_seconds(dataset: Dataset, number: int = 0) -> list[float]:
    """Seconds for each plate's newest sealed files, written by nothing but Python."""
    newest = [max((dataset.plate(plate_id).folder / "runs").iterdir()) for plate_id in dataset.plate_ids()]
    return [bare_seconds(folder, dataset.root / f"floor-{number}-{one}") for one, folder in enumerate(newest)]


def profile_sealing(dataset: Dataset) -> None:
    """Seals every plate; prints the whole, the flushes in it, and what the same bytes take without Atlas."""
    clock, floor = seal_counted(dataset), floor_seconds(dataset)
    whole, flushing = median_ms(clock.seconds), median_ms(clock.inner_seconds)
    print("| part of sealing a plate | ms | flushes |\n|---|---|---|")
    print(f"| all of it; goal {SEAL_GOAL_MS} | {whole:.1f} | {statistics.median(clock.inner_counts):.0f} |")
    print(f"| flushing files and folders to disk | {flushing:.1f} | |")
    rest = [both - inner for both, inner in zip(clock.seconds, clock.inner_seconds, strict=True)]
    print(f"| the rest: Parquet, JSON, digests, folders | {median_ms(rest):.1f} | |")
    print(f"| the same files written, flushed and renamed by nothing but Python | {median_ms(floor):.1f} | |\n")


def bare_seconds(sealed: Path, place: Path) -> float:
    """Writes the files of a sealed folder again, each flushed, and renames the folder."""
    contents = {path.name: path.read_bytes() for path in sealed.iterdir()}
    started = time.perf_counter()
    hidden = place.with_name(f".{place.name}")
    hidden.mkdir()
    for name, content in contents.items():
        write_synced(hidden / name, content)
    sync_folder(hidden)
    hidden.rename(place)
    sync_folder(place.parent)
    return time.perf_counter() - started


@contextmanager
def counted_commits() -> Iterator[list[Engine]]:
    """Transactions that SQLAlchemy commits inside the block."""
    commits: list[Engine] = []
    note = lambda connection: commits.append(connection.engine)  # noqa: E731 - removed below, so it has a name
    event.listen(Engine, "commit", note)
    try:
        yield commits
    finally:
        event.remove(Engine, "commit", note)


def profile_events(dataset: Dataset, instance: dg.DagsterInstance) -> None:
    """Runs the same plates in Dagster with SQLite; prints what it takes to store an event, and its transactions."""
    clock = Clock()
    storage = type(instance.event_log_storage)
    with (
        patch.object(storage, "store_event", clock.outer(storage.store_event)),
        patch.object(os, "fsync", clock.inner(os.fsync)),
        counted_commits() as commits,
    ):
        dagster_run(read_registry(), dataset, instance)
    plates = len(dataset.plate_ids())
    print("| Dagster's events with SQLite | |\n|---|---|")
    print(f"| events of the run, a plate | {len(clock.seconds) / plates:.1f} |")
    print(f"| transactions of the run, an event | {len(commits) / len(clock.seconds):.1f} |")
    print(f"| ms to store an event, median | {median_ms(clock.seconds):.1f} |")
    print(f"| ms of all events, a plate; goal {EVENTS_GOAL_MS} | {1000 * sum(clock.seconds) / plates:.1f} |")


@contextmanager
def small_plates(count: int) -> Iterator[Dataset]:
    """Drawn plates, sealed once."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset(Path(folder))
        draw_demo_plates(dataset.staging_dir, Path(folder) / "truth", count, scale=0.25)
        list(register_scans(dataset, [dataset.staging_dir]))
        sealed_run(read_registry(), dataset)
        yield dataset


def events_ms(dataset: Dataset, instance: dg.DagsterInstance) -> float:
    """Milliseconds a plate for the events of a run."""
    clock, storage = Clock(), type(instance.event_log_storage)
    with patch.object(storage, "store_event", clock.outer(storage.store_event)):
        dagster_run(read_registry(), dataset, instance)
    return 1000 * sum(clock.seconds) / len(dataset.plate_ids())


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures, over 24 plates."""
    with (
        small_plates(24) as dataset,
        instance_of(dataset, PooledSqliteEventLogStorage) as pooled,
        instance_of(dataset, SqliteEventLogStorage) as opening,
    ):
        sealing, floor, events, of_dagster = [], [], [], []
        for number in range(ROUNDS):
            sealing.append(median_ms(seal_counted(dataset).seconds))
            floor.append(median_ms(floor_seconds(dataset, number)))
            events.append(events_ms(dataset, pooled))
            of_dagster.append(events_ms(dataset, opening))
    yield Figure(subject, "sealing a plate", tuple(sealing), "ms", goal=SEAL_GOAL_MS)
    name, beside = "sealing a plate, beside its files alone", "the same files by nothing but Python"
    yield Figure(subject, name, tuple(sealing), "ms", beside, tuple(floor))
    name = "Dagster's events of a plate, with SQLite"
    yield Figure(subject, name, tuple(events), "ms", goal=EVENTS_GOAL_MS, why=TRANSACTIONS)
    beside = "the same by Dagster's own class"
    yield Figure(subject, f"{name}, by connections that stay open", tuple(events), "ms", beside, tuple(of_dagster))


def main(count: int) -> None:
    """Draws small plates, seals them once without counting, then profiles."""
    with small_plates(count) as dataset:
        print(f"{count} drawn plates, {KEY}, milliseconds of the wall clock\n")
        profile_sealing(dataset)
        for storage in (PooledSqliteEventLogStorage, SqliteEventLogStorage):
            with instance_of(dataset, storage) as instance:
                print(f"\n{storage.__name__}\n")
                profile_events(dataset, instance)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 48)
