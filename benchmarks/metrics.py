"""What metrics cost a run: a plate that is counted, and the file that is written: `python -m benchmarks metrics`."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from atlas_resources.watching.recording import recording
from atlas_resources.watching.settings import MetricsSettings
from atlas_resources.watching.starting import watching
from atlas_resources.watching.watch import Watch, Watched
from benchmarks.figures import ROUNDS, Figure

PLATES = 10_000
INSTRUMENTS = [Watched(f"instrument_{number}", "0" * 64) for number in range(30)]
STAGES = {"decode": 0.2, "preprocess": 0.01, "compute": 0.4, "seal": 0.005}


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures."""
    with tempfile.TemporaryDirectory() as folder:
        on = MetricsSettings(folder=Path(folder), seconds=0.5)
        for name, settings in (("off", MetricsSettings()), ("on, a file written every half second", on)):
            rounds = tuple(_milliseconds_a_plate(settings) for _ in range(ROUNDS))
            yield Figure(subject, f"a plate counted, metrics {name}", rounds, "ms", goal=1.0)
        with recording(INSTRUMENTS, on, Path(folder)) as watch:
            _count(watch)
        opened = tuple(_milliseconds_of_a_run(on) for _ in range(ROUNDS))
        yield Figure(
            subject,
            f"a run begun and ended, with the counts of {len(INSTRUMENTS)} instruments",
            opened,
            "ms",
            why="reads the counts of the run before, and writes them twice",
        )


def _count(watch: Watch) -> None:
    for number in range(PLATES):
        watch.plate_ended(INSTRUMENTS[number % len(INSTRUMENTS)].instrument, "complete", STAGES)


def _milliseconds_a_plate(settings: MetricsSettings) -> float:
    """CPU of the process, the writing thread's included, over the plates."""
    with watching(INSTRUMENTS, settings) as watch:
        started = time.process_time()
        _count(watch)
        return 1000 * (time.process_time() - started) / PLATES


def _milliseconds_of_a_run(settings: MetricsSettings) -> float:
    started = time.process_time()
    with watching(INSTRUMENTS, settings):
        pass
    return 1000 * (time.process_time() - started)
