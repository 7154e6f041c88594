"""A batch run compared with the bare loop: the cost of sealing, provenance and Dagster's events.

Run `python -m benchmarks.batch_run [PLATES]`. Plates are drawn into a temporary folder.
"""

import itertools
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import numpy as np
import torch
from dagster._core.storage.event_log import SqliteEventLogStorage

from atlas_assets.definitions import build_definitions
from atlas_assets.demo.plates import draw_demo_plates
from atlas_assets.graph.instruments import asset_key
from atlas_assets.graph.partitions import add_missing_partitions
from atlas_assets.roles.embedding import EmbeddingWork
from atlas_resources.event_storage import PooledSqliteEventLogStorage
from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.execution import execute_run
from benchmarks.figures import ROUNDS, Figure, in_turn

KEY = "efficientnet_lite0"


def bare_loop(registry: Registry, dataset: Dataset, threads: int) -> np.ndarray:
    """The floor: load, decode, embed in batches. The vectors stay in memory and nothing is recorded.

    Args:
        registry: the instruments.
        dataset: the plates.
        threads: 1 decodes and embeds in turn; with more, plates are decoded ahead of the model, as a run does.
    """
    spec = registry.require(KEY)
    model, steps = load_model(spec), spec.preprocessing
    assert steps is not None
    preprocess = build_preprocess(steps)

    def prepare(plate_id: str) -> torch.Tensor:
        return preprocess(decode(dataset.plate(plate_id).source_path()).image)

    plate_ids = dataset.plate_ids()
    prepared = map(prepare, plate_ids) if threads == 1 else ahead(prepare, plate_ids, spec.batch_size + threads)
    batches = iter(lambda: list(itertools.islice(prepared, spec.batch_size)), [])
    return np.concatenate([model.embed(torch.stack(batch)) for batch in batches])  # type: ignore[union-attr]


def sealed_run(registry: Registry, dataset: Dataset) -> None:
    """The same plates through the run lifecycle: decoded ahead, sealed plate by plate, reported. No Dagster."""
    spec = registry.require(KEY)
    work = EmbeddingWork(spec, lambda: load_model(spec))
    outcomes = list(execute_run(dataset, registry.instruments[KEY], dataset.plate_ids(), work, is_forced=True))
    assert all(outcome.status == "complete" for outcome in outcomes)


def dagster_run(registry: Registry, dataset: Dataset, instance: dg.DagsterInstance) -> None:
    """The same as a Dagster run in this process, with SQLite event storage: one event and one picture per plate."""
    plate_ids = dataset.plate_ids()
    job = build_definitions(registry, dataset.root).resolve_implicit_global_asset_job_def()
    key = asset_key(registry.instruments[KEY])
    result = job.execute_in_process(
        instance=instance,
        asset_selection=[key],
        tags={
            "dagster/asset_partition_range_start": plate_ids[0],
            "dagster/asset_partition_range_end": plate_ids[-1],
        },
        run_config={
            "ops": {key.to_python_identifier(): {"config": {"force": True}}},
            "loggers": {"console": {"config": {"log_level": "ERROR"}}},
        },
    )
    assert result.success


@contextmanager
def instance_of(dataset: Dataset, storage: type[SqliteEventLogStorage]) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that stores events by a class, with the partitions of a dataset."""
    with tempfile.TemporaryDirectory() as folder:
        events = {"module": storage.__module__, "class": storage.__name__, "config": {"base_dir": f"{folder}/events"}}
        settings = {"telemetry": {"enabled": False}, "event_log_storage": events}
        with dg.DagsterInstance.local_temp(folder, overrides=settings) as instance:
            add_missing_partitions(instance, dataset)
            yield instance


FLOOR = "bare loop, decoding ahead"
TRANSACTIONS = "Dagster stores each event in two databases, each with transactions of its own"


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures."""
    seconds = measure(48, ROUNDS)
    floor = seconds[FLOOR]
    goals = {
        "sealed run": (1 / 0.95, "what is left over is sealing and flushing each plate"),
        "Dagster run": (None, ""),
    }
    for name, (goal, why) in goals.items():
        yield Figure(subject, f"{name} of 48 plates by {KEY}", seconds[name], "s", FLOOR, floor, goal=goal, why=why)
    events = [
        1000 * (whole - sealed) / 48
        for whole, sealed in zip(seconds["Dagster run"], seconds["sealed run"], strict=True)
    ]
    yield Figure(subject, "Dagster's events and pictures of a plate", tuple(events), "ms", goal=15, why=TRANSACTIONS)


def measure(count: int, rounds: int) -> dict[str, tuple[float, ...]]:
    """Seconds of each way in each round, over drawn plates."""
    registry = read_registry()
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset(Path(folder))
        draw_demo_plates(dataset.staging_dir, Path(folder) / "truth", count)
        list(register_scans(dataset, [dataset.staging_dir]))
        with instance_of(dataset, PooledSqliteEventLogStorage) as instance:
            ways = {
                "bare loop, one thread": lambda: bare_loop(registry, dataset, 1),
                FLOOR: lambda: bare_loop(registry, dataset, THREADS),
                "sealed run": lambda: sealed_run(registry, dataset),
                "Dagster run": lambda: dagster_run(registry, dataset, instance),
            }
            return in_turn(ways, rounds)


def main(count: int) -> None:
    """Prints the median seconds of each method and its ratio to the bare loop that decodes ahead."""
    seconds = measure(count, ROUNDS)
    floor = statistics.median(seconds[FLOOR])
    print(f"{count} drawn plates of 2000 to 3400 px, {KEY}, medians of {ROUNDS}")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(
            f"{name:26} {median:6.2f} s  {1000 * median / count:6.1f} ms a plate  {median / floor:5.2f} x the bare loop"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 48)
