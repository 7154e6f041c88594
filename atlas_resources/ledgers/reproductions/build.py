"""Builds `ledger/reproductions`, and says whether it is behind the files."""

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import polars as pl

from atlas_resources.ledgers.parquet import read_ledger, write_ledger
from atlas_resources.ledgers.reproductions.files import (
    ReproductionFile,
    list_reproductions,
    path_in,
    read_reproductions,
)
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.records.reproductions import REPRODUCTIONS

LOG = logging.getLogger(__name__)


def build_reproductions(dataset: Dataset) -> pl.DataFrame:
    """`ledger/reproductions`: a row per plate of every file that can be read. A broken file is logged and left out."""
    files, broken = read_reproductions(dataset, list_reproductions(dataset))
    for error in broken:
        LOG.warning(f"left out of ledger/reproductions: {error}")
    return write_ledger(dataset, REPRODUCTIONS, REPRODUCTIONS.frame(row for file in files for row in _rows(file)))


def changed_reproductions(dataset: Dataset) -> Iterator[str]:
    """Why the ledger is behind the files, in one line. A file is never edited, so only new ones are read."""
    known = set(read_ledger(dataset, REPRODUCTIONS)["file"])
    on_disk = {path_in(dataset, path): path for path in list_reproductions(dataset)}
    new, _ = read_reproductions(dataset, [path for name, path in sorted(on_disk.items()) if name not in known])
    differing = sorted({file.path for file in new if file.content.plates} | (known - on_disk.keys()))
    if differing:
        # The reason is part of a run key: another digest requests another refresh.
        which = hashlib.sha256(repr(differing).encode()).hexdigest()[:8]
        yield f"{len(differing)} reproductions of runs were added or removed ({which}); the newest is {differing[-1]}"


def _rows(file: ReproductionFile) -> Iterator[dict[str, Any]]:
    content = file.content
    of_run = {
        "file": file.path,
        "run_id": content.run_id,
        "reproduced_at": content.reproduced_at,
        "instrument": content.instrument.key,
        "role": content.instrument.role,
        "fingerprint": content.instrument.fingerprint,
        "changes": [change.model_dump() for change in content.changes],
        "code_git_sha": content.code.git_sha,
        "code_is_dirty": content.code.is_dirty,
    }
    for plate in content.plates:
        yield {**plate.model_dump(), **of_run}
