"""Reading sealed runs: which plates are done, which failed, and their sealed files."""

import os
from collections.abc import Iterator
from pathlib import Path

from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import Metrics, RunManifest
from atlas_resources.tables.results import FILE_OF_ROLE

MANIFEST_NAME = "run.manifest.json"
METRICS_NAME = "metrics.json"


def _sealed(plate: Plate, identity: InstrumentIdentity) -> Iterator[RunManifest]:
    """Manifests of the plate's sealed runs by this version of the instrument on its present source, newest first.

    The names of run folders end with the fingerprint's first 8 hex digits, so a plate without such a run costs one
    listing.
    """
    if not plate.runs_folder.is_dir():
        return
    wanted = (identity.key, identity.fingerprint, plate.source_sha256())
    names = (
        name
        for name in os.listdir(plate.runs_folder)
        if name.startswith("run-") and name.endswith(identity.fingerprint[:8])
    )
    for name in sorted(names, reverse=True):
        manifest = read_json(plate.runs_folder / name / MANIFEST_NAME, RunManifest)
        if (manifest.instrument.key, manifest.instrument.fingerprint, manifest.source_sha256) == wanted:
            yield manifest


def find_done(plate: Plate, identity: InstrumentIdentity) -> RunManifest | None:
    """The newest complete run of the plate by this version of the instrument on its present source, or None."""
    return next((run for run in _sealed(plate, identity) if run.status == "complete"), None)


def find_failures(plate: Plate, identity: InstrumentIdentity) -> list[RunManifest]:
    """The plate's failed runs by this version of the instrument on its present source, newest first."""
    return [run for run in _sealed(plate, identity) if run.status == "failed"]


def result_path(plate: Plate, manifest: RunManifest) -> Path:
    """The Parquet file of a plate's sealed result."""
    return plate.runs_folder / manifest.run_id / FILE_OF_ROLE[manifest.instrument.role]


def read_preview(plate: Plate, manifest: RunManifest) -> bytes | None:
    """The sealed preview of a plate's run (JPEG or PNG), or None."""
    for output in manifest.outputs:
        if Path(output.path).stem == "preview":
            return (plate.folder / output.path).read_bytes()
    return None


def read_metrics(plate: Plate, manifest: RunManifest) -> Metrics:
    """The sealed `metrics.json` of a plate's run."""
    return read_json(plate.runs_folder / manifest.run_id / METRICS_NAME, Metrics)
