"""Plates per second of one, two and four workers of a Ray cluster on Postgres: `python -m benchmarks cluster`.

The model sleeps, so that what is left is what Dagster, Ray and the start of a run cost.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg

from benchmarks.figures import Figure
from deploy.demo.cluster import engine_of, launch, own_folder, why_not

PLATES, PLATE_SECONDS = 96, 0.25
WORKERS = (1, 2, 4)
ROUNDS = 3
POLL_SECONDS = 0.1


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures."""
    if reason := why_not():
        yield Figure(subject, f"{PLATES} plates on a cluster", (), "plates/s", why=reason)
        return
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        instance, _ = stack.enter_context(engine_of(folder, cpus=max(WORKERS)))
        _seconds(instance, max(WORKERS), 0)  # a first round is not counted
        starts = tuple(_seconds(instance, 1, 0) for _ in range(ROUNDS))
        yield Figure(
            subject, "a run that measures nothing, from its launch to its end", starts, why="imports of the graph"
        )
        for workers in WORKERS:
            ideal = PLATES * PLATE_SECONDS / workers
            seconds = tuple(_seconds(instance, workers, PLATES // workers) for _ in range(ROUNDS))
            runs = "1 run" if workers == 1 else f"{workers} runs at once"
            overhead = (sorted(seconds)[ROUNDS // 2] - ideal) * workers / PLATES
            yield Figure(
                subject,
                f"{PLATES} plates in {runs}, {PLATE_SECONDS} s of model for each",
                seconds,
                "s",
                "the model's own time",
                (ideal,) * ROUNDS,
                why=f"{overhead:.3f} s of a worker's time for each plate besides the model",
            )


def _seconds(instance: dg.DagsterInstance, runs: int, plates: int) -> float:
    """Wall seconds from the launch of some runs, of this many plates each, until all have ended.

    Raises:
        RuntimeError: a run failed.
    """
    from benchmarks.sleeping import sleeping

    config = {"ops": {"sleep_for_each_plate": {"config": {"plates": plates, "seconds": PLATE_SECONDS}}}}
    started = time.perf_counter()
    ids = [launch(instance, sleeping, config) for _ in range(runs)]
    while not all(run.is_finished for run in instance.get_runs(dg.RunsFilter(run_ids=ids))):
        time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - started
    ended = {run.status for run in instance.get_runs(dg.RunsFilter(run_ids=ids))}
    if ended != {dg.DagsterRunStatus.SUCCESS}:
        raise RuntimeError(f"runs of the benchmark ended with {ended}")
    return seconds
