"""What is known of a plate's sealed runs, without keeping their manifests."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.plates.index.unchanged import Unchanged
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.sealed import MANIFEST_NAME, read_manifest


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A sealed run of one plate.

    Attributes:
        run_id: the run.
        instrument: which instrument sealed it.
        source_sha256: of the source that it measured.
        status: whether it has a result.
        sealed_at: when it was sealed, UTC.
        read_run_ids: the runs whose results it read; empty if it read the source alone.
        error: why it failed, in one line.
    """

    run_id: str
    instrument: InstrumentIdentity
    source_sha256: str
    status: Literal["complete", "failed"]
    sealed_at: datetime
    read_run_ids: tuple[str, ...]
    error: str


_KNOWN: Unchanged[KnownRun] = Unchanged()
_IDENTITIES: dict[InstrumentIdentity, InstrumentIdentity] = {}


def read_run(plate: Plate, run_id: str) -> KnownRun:
    """A plate's run. Its manifest is read once in this process, until the file changes.

    Raises:
        DatasetBroken: the manifest is unreadable, or that of another plate or run.
    """
    return _KNOWN.read(plate.runs_folder / run_id / MANIFEST_NAME, lambda: _read(plate, run_id))


def _read(plate: Plate, run_id: str) -> KnownRun:
    manifest = read_manifest(plate, run_id)
    return KnownRun(
        run_id,
        _IDENTITIES.setdefault(manifest.instrument, manifest.instrument),  # one object for all plates of an instrument
        manifest.source_sha256,
        manifest.status,
        manifest.sealed_at,
        manifest.read_run_ids,
        first_line(manifest.error.message) if manifest.error else "",
    )


def first_line(text: str) -> str:
    """The first line of a message."""
    return text.splitlines()[0] if text else ""
