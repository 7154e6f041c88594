"""Counts that go on from one process to the next: what the last one wrote is added to what this one counts.

Prometheus takes a count that falls for a process that began anew, and loses what was counted between its last scrape
and the end of a short process.
"""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

Key = tuple[str, tuple[tuple[str, str], ...]]


class Continued:
    """A collector whose samples begin where those of a file ended."""

    def __init__(self, counts: Collector, before: Iterable[Metric]):
        """Keeps what was counted before.

        Args:
            counts: what this process counts.
            before: what the last one wrote; what this one does not count is left out.
        """
        self._counts = counts
        present = {family.name for family in counts.collect()}
        self._before: dict[str, dict[Key, Sample]] = {
            family.name: {_key(sample): sample for sample in family.samples if not _is_time(sample)}
            for family in before
            if family.name in present
        }

    def collect(self) -> Iterator[Metric]:
        """The sums of both, sample by sample."""
        for family in self._counts.collect():
            earlier = dict(self._before.get(family.name, {}))
            summed = Metric(family.name, family.documentation, family.type)
            for sample in family.samples:
                if _is_time(sample):
                    continue
                old = earlier.pop(_key(sample), None)
                summed.add_sample(sample.name, sample.labels, sample.value + (old.value if old else 0.0))
            for sample in earlier.values():
                summed.add_sample(sample.name, sample.labels, sample.value)
            yield summed


def read_counts(path: Path, limits: Collection[float]) -> list[Metric]:
    """The counters and histograms of a `.prom` file; none if it is missing, or is not one.

    Args:
        path: the file.
        limits: the upper limits of present histograms; one with others cannot be gone on with, and is left out.
    """
    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []
    known = {*limits, float("inf")}
    return [
        family
        for family in families
        if family.type in ("counter", "histogram")
        and all(float(sample.labels["le"]) in known for sample in family.samples if "le" in sample.labels)
    ]


def _key(sample: Sample) -> Key:
    return sample.name, tuple(sorted(sample.labels.items()))


def _is_time(sample: Sample) -> bool:
    """Whether it is when a count began, which the client adds and which is not a count."""
    return sample.name.endswith("_created")
