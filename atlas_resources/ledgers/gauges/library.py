"""How many plates there are, how they stand with each active instrument, and how old the ledgers are."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl
from prometheus_client.core import GaugeMetricFamily, Metric

from atlas_resources.ledgers.completeness.states import STATES
from atlas_resources.ledgers.parquet import LEDGERS, ledger_path, read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.completeness import COMPLETENESS
from atlas_resources.tables.ledgers import PLATES
from atlas_resources.watching.publishing import Publisher
from atlas_resources.watching.recording import sweep
from atlas_resources.watching.settings import MetricsSettings


class LibraryMetrics:
    """A collector of one library's metrics. Each reading takes the ledgers as they are then."""

    def __init__(self, dataset: Dataset):
        self._dataset = dataset

    def collect(self) -> Iterator[Metric]:
        """The metrics, as Prometheus's client asks for them. Of a ledger that is not built there are none."""
        root = str(self._dataset.root)
        plates = GaugeMetricFamily("atlas_library_plates", "Plates of the ledger `plates`.", labels=("dataset",))
        if ledger_path(self._dataset, PLATES).is_file():
            plates.add_metric((root,), read_ledger(self._dataset, PLATES, ("plate_id",)).height)
        yield plates
        states = GaugeMetricFamily(
            "atlas_library_plate_states",
            "Plates by their state with each active instrument and the groundwork, by the ledger `completeness`.",
            labels=("dataset", "instrument", "state"),
        )
        for instrument, state, count in self._states():
            states.add_metric((root, instrument, state), count)
        yield states
        written = GaugeMetricFamily(
            "atlas_ledger_written_timestamp_seconds",
            "When a ledger, or the catalogue, was last written.",
            labels=("dataset", "ledger"),
        )
        for name, path in self._files():
            with suppress(FileNotFoundError):  # not built yet
                written.add_metric((root, name), path.stat().st_mtime)
        yield written

    def _states(self) -> Iterator[tuple[str, str, int]]:
        """Instrument, state, number of plates: every state of each active instrument, none left out at zero."""
        columns = ("instrument", "state", "is_active")
        rows = read_ledger(self._dataset, COMPLETENESS, columns).filter("is_active")
        found = dict.fromkeys(rows["instrument"].unique(maintain_order=True), 0)
        counted = {(one, state): count for one, state, count in rows.group_by(columns[:2]).agg(pl.len()).iter_rows()}
        for instrument in found:
            for state in STATES:
                yield instrument, state, counted.get((instrument, state), 0)

    def _files(self) -> Iterator[tuple[str, Path]]:
        for table in LEDGERS.values():
            yield table.name, ledger_path(self._dataset, table)
        yield "catalogue", self._dataset.catalogue_path


def publish_library(dataset: Dataset, settings: MetricsSettings, folder: Path) -> Path:
    """Writes and pushes the library's metrics, and counts runs that were killed. Returns the file.

    Args:
        dataset: the library.
        settings: the Pushgateway.
        folder: where files are written. Each dataset has a file of its own there.

    Raises:
        OSError: the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(settings, folder)
    digest = hashlib.sha256(str(dataset.root).encode()).hexdigest()[:8]
    path = folder / f"atlas_library_{digest}.prom"
    Publisher(settings, path).publish(LibraryMetrics(dataset))
    return path
