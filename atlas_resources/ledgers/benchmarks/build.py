"""Builds `ledger/benchmarks`, and says whether it is behind the files."""

import hashlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from atlas_resources.ledgers.parquet import read_ledger, write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.plates.records.benchmark import Benchmark
from atlas_resources.tables.records.benchmarks import BENCHMARKS

LOG = logging.getLogger(__name__)

FILE_NAME = re.compile(r"\d{8}-\d{6}-\d{6}Z\.json")


def list_benchmarks(dataset: Dataset) -> list[Path]:
    """The file of every benchmark, by instrument and time. Reads none."""
    if not dataset.benchmarks_dir.is_dir():
        return []
    return sorted(path for path in dataset.benchmarks_dir.glob("*/*.json") if FILE_NAME.fullmatch(path.name))


def build_benchmarks(dataset: Dataset) -> pl.DataFrame:
    """`ledger/benchmarks`: the rows of every file that can be read. A broken file is logged and left out."""
    rows: list[dict[str, Any]] = []
    for path in list_benchmarks(dataset):
        try:
            rows += _rows(path.relative_to(dataset.root).as_posix(), read_benchmark(path))
        except DatasetBroken as error:
            LOG.warning(f"left out of ledger/benchmarks: {error}")
    return write_ledger(dataset, BENCHMARKS, BENCHMARKS.frame(rows))


def read_benchmark(path: Path) -> Benchmark:
    """A file's content. Raises DatasetBroken if it cannot be read, or is of another instrument than its folder."""
    content = read_json(path, Benchmark)
    if content.instrument.key != path.parent.name:
        found = f"found {content.instrument.key!r}"
        raise DatasetBroken(path, f"instrument: expected {path.parent.name!r}, the name of its folder, {found}")
    return content


def changed_benchmarks(dataset: Dataset) -> Iterator[str]:
    """Why the ledger is behind the files, in one line. A file is never edited, so that only names are compared."""
    known = set(read_ledger(dataset, BENCHMARKS)["file"])
    found = {path.relative_to(dataset.root).as_posix(): path for path in list_benchmarks(dataset)}
    new = [name for name, path in found.items() if name not in known and _is_whole(path)]
    if differing := sorted({*new, *(known - found.keys())}):
        # The reason is part of a run key: another digest requests another refresh.
        which = hashlib.sha256(repr(differing).encode()).hexdigest()[:8]
        yield f"{len(differing)} benchmarks were added or removed ({which}); the newest is {differing[-1]}"


def _is_whole(path: Path) -> bool:
    try:
        return bool(read_benchmark(path).figures)
    except DatasetBroken:
        return False


def _rows(name: str, content: Benchmark) -> list[dict[str, Any]]:
    accelerator = content.environment.accelerator
    common = {
        "instrument": content.instrument.key,
        "fingerprint": content.instrument.fingerprint,
        "measured_at": content.measured_at,
        "most_at_once": content.most_at_once,
        "load_seconds": content.load_seconds,
        "cold_seconds": content.cold_seconds,
        "plate_count": len(content.plate_ids),
        "device": content.environment.device,
        "accelerator": accelerator and accelerator.name,
        "cpu": content.environment.cpu,
        "code_git_sha": content.code.git_sha,
        "code_is_dirty": content.code.is_dirty,
        "file": name,
    }
    return [{**figure.model_dump(), **common} for figure in content.figures]
