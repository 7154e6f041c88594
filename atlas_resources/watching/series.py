"""Every metric of a run: its name, its labels and what it means. A label never holds a plate: series would have no end.

Counts go on from run to run (see `counts`); the rest is of the run in progress and is gone once it has ended.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from atlas_resources.models.memory import device_memory, peak_memory_bytes
from atlas_resources.watching.watch import Queue, Watched

FINGERPRINT_LENGTH = 12
"""Hex digits of a fingerprint that a label holds."""

STATUSES = ("complete", "reused", "failed", "withdrawn")
SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Upper limits of the histograms, seconds: from sealing a small plate to a long answer of a language model."""


class Counts:
    """What is only ever added to."""

    def __init__(self, slot: str):
        """All at zero.

        Args:
            slot: the label that tells apart the runs in progress on one machine.
        """
        self.registry = CollectorRegistry()
        self._slot = slot
        self._plates = Counter(
            "atlas_plates",
            "Plates that ended, by how: complete, reused (done by an earlier run), failed, or withdrawn.",
            ("slot", "instrument", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "atlas_plate_stage_seconds",
            "Seconds of wall time that a stage of a measured plate took; of a shared decode or batch, an equal share.",
            ("slot", "instrument", "stage"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.killed = Counter(
            "atlas_runs_killed",
            "Runs whose process ended before them; counted when the next run or the daemon comes upon what they left.",
            ("slot",),
            registry=self.registry,
        ).labels(slot)

    def expect(self, instrument: str) -> None:
        """Shows the instrument's plates at zero: Prometheus sees no increase in a count that appears with a value."""
        for status in STATUSES:
            self._plates.labels(self._slot, instrument, status)

    def add(self, instrument: str, status: str, seconds: Mapping[str, float] | None) -> None:
        """Counts a plate that ended.

        Args:
            instrument: for which it ended.
            status: how.
            seconds: by stage, of a plate that was measured.
        """
        self._plates.labels(self._slot, instrument, status).inc()
        for stage, spent in (seconds or {}).items():
            self._seconds.labels(self._slot, instrument, stage).observe(spent)


class Present:
    """What is so now, of the run in progress. Read whenever metrics are written."""

    def __init__(self, slot: str, host: str, watched: Sequence[Watched]):
        """A run that begins.

        Args:
            slot: as for `Counts`.
            host: the machine's name.
            watched: what measures in the run.
        """
        self.last_plate = time.time()
        self.queues: Callable[[], Iterable[Queue]] = tuple
        self._slot = slot
        self._host = host
        self._watched = watched

    def collect(self) -> Iterator[Metric]:
        """The metrics, as Prometheus's client asks for them."""
        yield self._family(
            "atlas_run_info",
            "1 for each instrument that measures now, with the beginning of its fingerprint and the machine.",
            ("instrument", "fingerprint", "host"),
            [((one.instrument, one.version[:FINGERPRINT_LENGTH], self._host), 1) for one in self._watched],
        )
        yield self._family(
            "atlas_run_heartbeat_timestamp_seconds", "When the run last wrote this.", (), [((), time.time())]
        )
        yield self._family(
            "atlas_run_last_plate_timestamp_seconds",
            "When a plate of the run last ended; before the first, when the run began.",
            (),
            [((), self.last_plate)],
        )
        queues = list(self.queues())
        names = ("queue", "instrument")
        yield self._family(
            "atlas_run_queue_plates",
            "Plates that wait: prepared and not yet taken, or taken and waiting for a whole batch.",
            names,
            [((one.name, one.instrument), one.plates) for one in queues],
        )
        yield self._family(
            "atlas_run_queue_limit_plates",
            "Most plates that may wait there.",
            names,
            [((one.name, one.instrument), one.limit) for one in queues],
        )
        yield from self._memory()

    def _memory(self) -> Iterator[Metric]:
        yield self._family(
            "atlas_run_memory_peak_bytes",
            "Most memory that the run's process has had in use.",
            (),
            [((), peak_memory_bytes())],
        )
        cards = device_memory()
        yield self._family(
            "atlas_run_gpu_memory_bytes",
            "Memory that torch has allocated on a CUDA device, by the index that the process sees.",
            ("device",),
            [((str(one.index),), one.allocated_bytes) for one in cards],
        )
        yield self._family(
            "atlas_run_gpu_memory_peak_bytes",
            "Most memory that torch has had allocated on a CUDA device since the newest model was loaded.",
            ("device",),
            [((str(one.index),), one.peak_bytes) for one in cards],
        )

    def _family(
        self, name: str, meaning: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]
    ) -> Metric:
        family = GaugeMetricFamily(name, meaning, labels=("slot", *labels))
        for found, value in values:
            family.add_metric((self._slot, *found), value)
        return family
