"""Sealing a run: each plate's folder appears whole or not at all, and a report says how the run ended.

No models here.
"""

import fcntl
import hashlib
import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from atlas_resources.files.contract import SCHEMA_VERSION, digest_bytes, file_bytes
from atlas_resources.files.durable import (
    sync_folder,
    write_bytes_atomically,
    write_folder_synced,
    write_json_atomically,
)
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.models.memory import peak_device_memory_bytes, peak_memory_bytes
from atlas_resources.plates.contracts import FileDigest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import (
    Metrics,
    RunConfig,
    RunManifest,
    RunReport,
    ServerRecord,
    StructuredError,
)
from atlas_resources.runs.claims import sweep_dead
from atlas_resources.runs.provenance import code_version, environment
from atlas_resources.runs.run_ids import reserve_run_id
from atlas_resources.runs.sealed import MANIFEST_NAME, METRICS_NAME
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.sharing.worker import SealedByAnother, shared
from atlas_resources.tables.results import FILE_OF_ROLE, identify_rows

VERSION_KEY = "atlas.schema_version"


@dataclass(frozen=True)
class Measurement:
    """What an instrument found on one plate.

    Attributes:
        rows: the role's own columns, without the identity columns.
        metrics: scalars for people.
        preview: a small image of the result (JPEG or PNG), or None.
    """

    rows: pl.DataFrame
    metrics: dict[str, float | int | str | bool | None]
    preview: bytes | None = None


def _preview_name(picture: bytes) -> str:
    return "preview.png" if picture.startswith(b"\x89PNG") else "preview.jpg"


def parquet_bytes(rows: pl.DataFrame, metadata: Mapping[str, str] | None = None) -> bytes:
    """The rows as a Parquet file, which states its version in the key `atlas.schema_version` of its metadata.

    Args:
        rows: the rows.
        metadata: what it states besides.
    """
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd", metadata={VERSION_KEY: str(SCHEMA_VERSION), **(metadata or {})})
    return buffer.getvalue()


class _HiddenFolder:
    """A plate's run folder while it is written, under a hidden name."""

    def __init__(self, runs_folder: Path, run_id: str):
        self._path = runs_folder / f".{run_id}.partial"
        self._final_path = runs_folder / run_id
        self._path.mkdir()
        self._contents: dict[str, bytes] = {}
        self.files: list[FileDigest] = []

    def add(self, name: str, content: bytes) -> None:
        """Adds a file, which is written with the others."""
        self._contents[name] = content
        self.files.append(digest_bytes(f"runs/{self._final_path.name}/{name}", content))

    def write(self, manifest: bytes) -> Path:
        """Writes the files and the manifest, and flushes them and the folder to disk. Returns the folder."""
        write_folder_synced(self._path, {**self._contents, MANIFEST_NAME: manifest})
        return self._path

    def show(self) -> None:
        """Renames the folder into place."""
        self._path.rename(self._final_path)
        sync_folder(self._final_path.parent)


class Run:
    """One execution of one instrument: seals each plate separately, then writes a report. Made by `open_run`."""

    def __init__(
        self,
        dataset: Dataset,
        instrument: Instrument,
        run_id: str,
        dagster_run_id: str | None,
        server: ServerRecord | None = None,
    ):
        self.dataset = dataset
        self.instrument = instrument
        self.run_id = run_id
        self.dagster_run_id = dagster_run_id
        self.started_at = datetime.now(UTC)
        self.environment = environment(instrument.spec, server)
        self.config_sha256 = ""

    @property
    def folder(self) -> Path:
        """`reports/<run_id>`."""
        return self.dataset.reports_dir / self.run_id

    def write_config(self, plate_ids: list[str], is_forced: bool) -> None:
        """Writes the run's configuration, before the first plate."""
        config = RunConfig(
            run_id=self.run_id,
            instrument=self.instrument.identity,
            spec=self.instrument.spec.model_dump(mode="json"),
            batch_size=self.instrument.spec.batch_size,
            forced=is_forced,
            plate_ids=plate_ids,
            dagster_run_id=self.dagster_run_id,
            started_at=self.started_at,
        )
        content = file_bytes(config)
        self.config_sha256 = hashlib.sha256(content).hexdigest()
        write_bytes_atomically(self.folder / "config.json", content)
        self._publish("config.json")

    def seal(
        self, plate: Plate, inputs: Sequence[FileDigest], measurement: Measurement, stopwatch: Stopwatch
    ) -> RunManifest:
        """Writes the plate's complete run folder under a hidden name, flushes it, and renames it into place.

        Args:
            plate: the plate.
            inputs: the files that were read: the plate's source, then other sealed files.
            measurement: what was found.
            stopwatch: the seconds that the plate took, its sealing in progress.

        Raises:
            ValueError, PolarsError: the rows or metrics break their schema. Nothing was written.
            SealedByAnother: another worker has sealed the plate in the dataset's store since this one looked.
            StoreUnreachable: the store does not answer. The plate is not sealed, unless the store has it.
        """
        rows = identify_rows(measurement.rows, self.instrument.identity, self.run_id, plate.id, inputs[0].sha256)
        content = parquet_bytes(rows)
        metrics = Metrics(run_id=self.run_id, plate_id=plate.id, values=measurement.metrics)
        folder = self._open_folder(plate)
        folder.add(FILE_OF_ROLE[self.instrument.identity.role], content)
        if measurement.preview:
            folder.add(_preview_name(measurement.preview), measurement.preview)
        cost = {
            "seconds": stopwatch.read(),
            "peak_memory_bytes": peak_memory_bytes(),
            "peak_device_memory_bytes": peak_device_memory_bytes(),
        }
        folder.add(METRICS_NAME, file_bytes(metrics.model_copy(update=cost)))
        return self._complete(folder, plate, inputs, None)

    def seal_failure(self, plate: Plate, source: FileDigest, error: StructuredError) -> RunManifest:
        """Keeps the failure as evidence: a run folder with a manifest that states the error, and no outputs."""
        return self._complete(self._open_folder(plate), plate, [source], error)

    def _open_folder(self, plate: Plate) -> _HiddenFolder:
        if not plate.runs_folder.is_dir():
            plate.runs_folder.mkdir(exist_ok=True)  # without parents: a plate that was removed meanwhile stays removed
            sync_folder(plate.folder)
        sweep_dead(self.dataset, plate)
        return _HiddenFolder(plate.runs_folder, self.run_id)

    def _complete(
        self, folder: _HiddenFolder, plate: Plate, inputs: Sequence[FileDigest], error: StructuredError | None
    ) -> RunManifest:
        """Writes the manifest, publishes the run if the dataset has a store, and shows the folder."""
        manifest = RunManifest(
            run_id=self.run_id,
            plate_id=plate.id,
            status="failed" if error else "complete",
            source_sha256=inputs[0].sha256,
            instrument=self.instrument.identity,
            inputs=list(inputs),
            outputs=folder.files,
            environment=self.environment,
            code=code_version(),
            dagster_run_id=self.dagster_run_id,
            started_at=self.started_at,
            sealed_at=datetime.now(UTC),
            error=error,
        )
        written = folder.write(file_bytes(manifest))
        store = shared(self.dataset)
        other = store.publish(plate, written, manifest) if store else None
        if other is not None:
            shutil.rmtree(written)
            raise SealedByAnother(other)
        folder.show()
        return manifest

    def write_report(self, report: RunReport) -> None:
        """Writes how the run ended. A run without a report was killed."""
        write_json_atomically(self.folder / "report.json", report)
        self._publish("report.json")

    def _publish(self, name: str) -> None:
        if store := shared(self.dataset):
            store.publish_report(self.folder / name)


@contextmanager
def open_run(
    dataset: Dataset,
    instrument: Instrument,
    dagster_run_id: str | None = None,
    server: ServerRecord | None = None,
) -> Iterator[Run]:
    """Reserves a run id and holds the run's lock while the block runs. The kernel releases it if the process dies."""
    run = Run(dataset, instrument, reserve_run_id(dataset, instrument.identity.fingerprint), dagster_run_id, server)
    lock_path = run.folder / ".lock"
    try:
        with lock_path.open("w+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield run
    finally:
        lock_path.unlink(missing_ok=True)  # once it is closed: NFS keeps an open file under another name
