"""Reading sealed runs: which plates are done, which failed, and what was kept of them."""

import os
from collections.abc import Iterator
from pathlib import Path

from atlas_resources.instruments.instrument_identity import InstrumentIdentity
from atlas_resources.plates.contracts import Metrics, RunManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json

MANIFEST_NAME = "run.manifest.json"


METRICS_NAME = "metrics.json"


def _sealed(dataset: Dataset, plate_id: str, identity: InstrumentIdentity) -> Iterator[RunManifest]:
    """Manifests of the plate's sealed runs by this very instrument on its present source, newest first.

    Run folders carry the fingerprint's first 8 hex digits in their name: a plate without such a run costs one listing.
    """
    runs = dataset.plate(plate_id).runs_folder
    if not runs.is_dir():
        return
    wanted = (identity.key, identity.fingerprint, dataset.plate(plate_id).source_sha256())
    names = (name for name in os.listdir(runs) if name.startswith("run-") and name.endswith(identity.fingerprint[:8]))
    for name in sorted(names, reverse=True):
        manifest = read_json(runs / name / MANIFEST_NAME, RunManifest)
        if (manifest.instrument.key, manifest.instrument.fingerprint, manifest.source_sha256) == wanted:
            yield manifest


def find_done(dataset: Dataset, plate_id: str, identity: InstrumentIdentity) -> RunManifest | None:
    """The newest complete run of the plate by this very instrument on its present source, or None."""
    return next((run for run in _sealed(dataset, plate_id, identity) if run.status == "complete"), None)


def find_failures(dataset: Dataset, plate_id: str, identity: InstrumentIdentity) -> list[RunManifest]:
    """The plate's failed runs by this very instrument on its present source, newest first."""
    return [run for run in _sealed(dataset, plate_id, identity) if run.status == "failed"]


def read_preview(dataset: Dataset, manifest: RunManifest) -> bytes | None:
    """The sealed preview picture of a plate's run, if it has one."""
    for output in manifest.outputs:
        if Path(output.path).stem == "preview":
            return (dataset.plate(manifest.plate_id).folder / output.path).read_bytes()
    return None


def read_metrics(dataset: Dataset, manifest: RunManifest) -> Metrics:
    """The sealed scalars of a plate's run."""
    return read_json(dataset.plate(manifest.plate_id).runs_folder / manifest.run_id / METRICS_NAME, Metrics)
