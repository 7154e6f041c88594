"""Builds `ledger/snapshots` and `ledger/snapshot_runs`, and says whether they are behind the files."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from atlas_resources.files.digests import sha256_of
from atlas_resources.ledgers.parquet import read_ledger, write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.records.snapshot import Snapshot
from atlas_resources.snapshots.files import read_snapshot, snapshot_names, snapshot_path
from atlas_resources.tables.records.snapshots import SNAPSHOT_RUNS, SNAPSHOTS

LOG = logging.getLogger(__name__)


def build_snapshots(dataset: Dataset) -> pl.DataFrame:
    """`ledger/snapshots`: every snapshot that can be read. A broken one is logged and left out."""
    rows = (_row(dataset, snapshot) for snapshot in _whole(dataset, snapshot_names(dataset)))
    return write_ledger(dataset, SNAPSHOTS, SNAPSHOTS.frame(rows))


def build_snapshot_runs(dataset: Dataset) -> pl.DataFrame:
    """`ledger/snapshot_runs`: the runs that were current in every snapshot that can be read."""
    frames = [_runs(snapshot) for snapshot in _whole(dataset, snapshot_names(dataset))]
    return write_ledger(dataset, SNAPSHOT_RUNS, pl.concat([SNAPSHOT_RUNS.empty, *frames]))


def changed_snapshots(dataset: Dataset) -> Iterator[str]:
    """Why the ledgers are behind the files, in one line. A snapshot is never edited, so only other files are read."""
    known = set(read_ledger(dataset, SNAPSHOTS).select("snapshot", "file_sha256").iter_rows())
    on_disk = {(name, sha256_of(snapshot_path(dataset, name))) for name in snapshot_names(dataset)}
    new = {snapshot.name for snapshot in _whole(dataset, [name for name, _ in on_disk - known])}
    if changed := sorted({name for name, _ in known - on_disk} | new):
        # The reason is part of a run key: another digest requests another refresh.
        which = hashlib.sha256(repr(sorted(on_disk)).encode()).hexdigest()[:8]
        yield f"{len(changed)} snapshots were added or removed ({which}): {', '.join(changed[:3])}"


def _whole(dataset: Dataset, names: Iterable[str]) -> Iterator[Snapshot]:
    for name in names:
        try:
            yield read_snapshot(dataset, name)
        except DatasetBroken as error:
            LOG.warning(f"left out of the ledgers: {error}")


def _row(dataset: Dataset, snapshot: Snapshot) -> dict[str, Any]:
    previous = snapshot.previous
    return {
        **snapshot.model_dump(exclude={"plates", "instruments"}),
        "snapshot": snapshot.name,
        "file_sha256": sha256_of(snapshot_path(dataset, snapshot.name)),
        "previous": previous and previous.name,
        "previous_sha256": previous and previous.sha256,
        "plate_count": len(snapshot.plates),
        "instrument_count": len({key for plate in snapshot.plates for key in plate.runs}),
        "run_count": snapshot.run_count,
        "code_git_sha": snapshot.code.git_sha,
        "code_is_dirty": snapshot.code.is_dirty,
    }


def _runs(snapshot: Snapshot) -> pl.DataFrame:
    fingerprints = {one.identity.key: one.identity.fingerprint for one in snapshot.instruments}
    rows = [
        (snapshot.name, plate.plate_id, key, run_id, fingerprints[key])
        for plate in snapshot.plates
        for key, run_id in plate.runs.items()
    ]
    return pl.DataFrame(rows, schema=SNAPSHOT_RUNS.schema, orient="row")
