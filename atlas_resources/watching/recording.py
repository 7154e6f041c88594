"""Counts as plates end, and a thread that writes the counts and what is present every few seconds.

The thread writes, so that a slow disk or a Pushgateway that hangs holds up no plate.
"""

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from atlas_resources.watching.counts import Continued, read_counts
from atlas_resources.watching.publishing import Publisher
from atlas_resources.watching.series import SECONDS, Counts, Present
from atlas_resources.watching.settings import MetricsSettings
from atlas_resources.watching.slots import Slot, left_behind, take_slot
from atlas_resources.watching.watch import Queue, Watched


class _Recorder:
    """Takes what happens in a run. Its numbers are read by the thread that writes."""

    def __init__(self, counts: Counts, present: Present):
        self._counts = counts
        self._present = present

    def plate_ended(self, instrument: str, status: str, seconds: Mapping[str, float] | None) -> None:
        self._counts.add(instrument, status, seconds)
        self._present.last_plate = time.time()

    def ask_queues(self, queues: Callable[[], Iterable[Queue]]) -> None:
        self._present.queues = queues


@contextmanager
def recording(watched: Sequence[Watched], settings: MetricsSettings, folder: Path) -> Iterator[_Recorder]:
    """Records a run while the block runs, and at its end writes the counts alone.

    Args:
        watched: what measures in the run.
        settings: how often, and the Pushgateway.
        folder: where files are written.

    Raises:
        OSError: the folder cannot be written.
    """
    sweep(settings, folder)
    with take_slot(folder) as slot:
        slot.unfinished.touch()
        counts, before = Counts(slot.name), read_counts(slot.path, SECONDS)
        for one in watched:
            counts.expect(one.instrument)
        present = Present(slot.name, platform.node(), watched)
        counted = Continued(counts.registry, before)
        publisher, everything = Publisher(settings, slot.path), CollectorRegistry()
        everything.register(counted)
        everything.register(present)
        try:
            with _regularly(lambda: publisher.publish(everything), settings.seconds):
                yield _Recorder(counts, present)
        finally:
            publisher.publish(counted)
            slot.unfinished.unlink(missing_ok=True)


@contextmanager
def _regularly(do: Callable[[], None], seconds: float) -> Iterator[None]:
    """Does something on a thread while the block runs: at once, then every so many seconds."""
    is_over = threading.Event()

    def repeat() -> None:
        do()
        while not is_over.wait(seconds):
            do()

    thread = threading.Thread(target=repeat, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def sweep(settings: MetricsSettings, folder: Path) -> None:
    """Counts the runs whose process ended before them, and removes from their files what was present then.

    Args:
        settings: the Pushgateway.
        folder: where files are written.
    """
    for slot in left_behind(folder):
        _close(settings, slot)


def _close(settings: MetricsSettings, slot: Slot) -> None:
    counts = Counts(slot.name)
    counts.killed.inc()
    Publisher(settings, slot.path).publish(Continued(counts.registry, read_counts(slot.path, SECONDS)))
    slot.unfinished.unlink(missing_ok=True)
