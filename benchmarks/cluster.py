"""Plates per second of one, two and four workers of a Ray cluster on Postgres: `python -m benchmarks cluster`.

The model sleeps, so that what is left is what Dagster, Ray and the start of a run cost. With more work than the table
has, `python -m benchmarks.cluster --plates 480 --seconds 0.5` prints the same figures.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg

from benchmarks.figures import Figure, Machine, Results
from deploy.demo.cluster import engine_of, launch, own_folder, why_not

PLATES, PLATE_SECONDS = 96, 0.25
WORKERS = (1, 2, 4)
ROUNDS = 3
POLL_SECONDS = 0.1


def figures(
    subject: str, plates: int = PLATES, plate_seconds: float = PLATE_SECONDS, rounds: int = ROUNDS
) -> Iterator[Figure]:
    """What `python -m benchmarks` measures.

    Args:
        subject: what the figures are of.
        plates: how many the workers share.
        plate_seconds: how long the model sleeps for each.
        rounds: how often each figure is measured.
    """
    if reason := why_not():
        yield Figure(subject, f"{plates} plates on a cluster", (), "plates/s", why=reason)
        return
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        instance, _ = stack.enter_context(engine_of(folder, cpus=max(WORKERS)))
        _seconds(instance, max(WORKERS), 0, 0)  # a first round is not counted
        starts = tuple(_seconds(instance, 1, 0, 0) for _ in range(rounds))
        yield Figure(
            subject, "a run that measures nothing, from its launch to its end", starts, why="imports of the graph"
        )
        for workers in WORKERS:
            ideal = plates * plate_seconds / workers
            seconds = tuple(_seconds(instance, workers, plates // workers, plate_seconds) for _ in range(rounds))
            runs = "1 run" if workers == 1 else f"{workers} runs at once"
            overhead = (sorted(seconds)[rounds // 2] - ideal) * workers / plates
            yield Figure(
                subject,
                f"{plates} plates in {runs}, {plate_seconds} s of model for each",
                seconds,
                "s",
                "the model's own time",
                (ideal,) * rounds,
                why=f"{overhead:.3f} s of a worker's time for each plate besides the model",
            )


def _seconds(instance: dg.DagsterInstance, runs: int, plates: int, plate_seconds: float) -> float:
    """Wall seconds from the launch of some runs, of this many plates each, until all have ended.

    Raises:
        RuntimeError: a run failed.
    """
    from benchmarks.sleeping import sleeping

    config = {"ops": {"sleep_for_each_plate": {"config": {"plates": plates, "seconds": plate_seconds}}}}
    started = time.perf_counter()
    ids = [launch(instance, sleeping, config) for _ in range(runs)]
    while not all(run.is_finished for run in instance.get_runs(dg.RunsFilter(run_ids=ids))):
        time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - started
    ended = {run.status for run in instance.get_runs(dg.RunsFilter(run_ids=ids))}
    if ended != {dg.DagsterRunStatus.SUCCESS}:
        raise RuntimeError(f"runs of the benchmark ended with {ended}")
    return seconds


def main() -> None:
    """Prints the table of the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plates", type=int, default=PLATES)
    parser.add_argument("--seconds", type=float, default=PLATE_SECONDS)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    if options.plates % max(WORKERS):
        parser.error(
            f"--plates: expected a multiple of {max(WORKERS)}, which that many workers share, found {options.plates}"
        )
    found = tuple(figures("Runs as jobs of a Ray cluster", options.plates, options.seconds, options.rounds))
    print(Results(Machine.present(), found).markdown())


if __name__ == "__main__":
    main()
