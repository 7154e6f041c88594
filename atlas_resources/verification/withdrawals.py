"""Verification of the log of withdrawals: every entry is there and unchanged, by the chain of their digests."""

import os
from collections.abc import Iterator

from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.records.withdrawals import WITHDRAWALS
from atlas_resources.verification.findings import Finding, Place
from atlas_resources.verification.plates import stray
from atlas_resources.verification.reading import Reader
from atlas_resources.withdrawals.log import (
    ENTRY_NAME,
    FOLDER,
    LAST_NAME,
    RESTORE_FILE,
    entry_paths,
    is_last_recorded,
    read_log,
)


def verify_withdrawals(dataset: Dataset, reader: Reader) -> list[Finding]:
    """Everything that is wrong in `withdrawals/`."""
    place, folder = Place(dataset.root), dataset.root / FOLDER
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    findings = [stray(place, folder / name) for name in names if name != LAST_NAME and not ENTRY_NAME.fullmatch(name)]
    for _ in names:
        reader.count()
    with place.noting(findings):
        entries = read_log(dataset.root)
        if not is_last_recorded(dataset.root, entries):
            problem = f"a process was killed before it recorded entry {len(entries)}"
            fix = "none needed: the next entry records itself"
            findings.append(place.finding("unfinished", folder / LAST_NAME, problem, fix))
    findings += _lost(dataset, place)
    return findings


def _lost(dataset: Dataset, place: Place) -> Iterator[Finding]:
    """Entries that the ledger has and the folder has not: the whole end of the log may be gone, `last.json` with it."""
    present = {int(path.name[:6]) for path in entry_paths(dataset.root)}
    for number, sha256 in read_ledger(dataset, WITHDRAWALS).select("number", "file_sha256").iter_rows():
        if number not in present:
            path = dataset.root / FOLDER / f"{number:06d}-*.json"
            problem = f"expected entry {number} with sha256 {sha256}, which ledger/withdrawals has, found none"
            yield place.finding("missing", path, problem, RESTORE_FILE)
