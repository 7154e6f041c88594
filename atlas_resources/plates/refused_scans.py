"""`refused_scans.json`: which scans are refused at present, and why. Every registration keeps it up to date."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from atlas_resources.files.durable import write_json_atomically
from atlas_resources.plates.contracts import RefusedScan, RefusedScans
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json


def refused_scans_path(dataset: Dataset) -> Path:
    """Where the refused scans are listed; the file is absent until a scan is refused."""
    return dataset.root / "refused_scans.json"


def read_refused_scans(dataset: Dataset) -> list[RefusedScan]:
    """The scans that are refused at present, sorted by path. Raises DatasetBroken for a broken file."""
    path = refused_scans_path(dataset)
    return list(read_json(path, RefusedScans).refused_scans) if path.is_file() else []


def record_refusals(dataset: Dataset, results: Mapping[Path, str | None]) -> None:
    """Bring the list up to date with a registration. The file is written only if the list changes.

    Only one process at a time may call this: the caller holds the registration lock.

    Args:
        dataset: The dataset.
        results: Why each scan or index that was tried is refused, one line; None for one that is not. A path
            that does not exist is not listed. Scans that were not tried stay listed while their files exist.
    """
    before = {scan.path: scan for scan in read_refused_scans(dataset)}
    after = {name: scan for name, scan in before.items() if os.path.lexists(dataset.root / name)}
    now = datetime.now(UTC)
    for path, reason in results.items():
        name = known_path(dataset, path)
        if reason is None or not os.path.lexists(path):  # a mistyped path is no scan
            after.pop(name, None)
            continue
        stated, _, fix = reason.partition(" Fix: ")
        text = stated.removesuffix(".")
        first = before[name].first_refused_at if name in before else now
        after[name] = RefusedScan(path=name, reason=text, fix=fix or None, first_refused_at=first, last_refused_at=now)
    if after != before:
        refused = RefusedScans(refused_scans=[after[name] for name in sorted(after)])
        write_json_atomically(refused_scans_path(dataset), refused)


def known_path(dataset: Dataset, path: Path) -> str:
    """A path as a person knows it: of a staged scan from the dataset's root, such as plates/a.tif, else absolute.

    Bytes that are not UTF-8 are written as escapes.
    """
    staged = staged_path(dataset, path)
    shown = path.absolute() if staged is None else dataset.staging_dir.relative_to(dataset.root) / staged
    return os.fsencode(shown).decode("utf-8", errors="backslashreplace")


def staged_path(dataset: Dataset, path: Path) -> Path | None:
    """The path of a staged scan in the staging folder; None for a scan that is elsewhere. Links are not followed."""
    absolute = path.absolute()
    return absolute.relative_to(dataset.staging_dir) if absolute.is_relative_to(dataset.staging_dir) else None
