"""Verification of the logs of withdrawals and tags: every entry is there and unchanged, by the chain of digests."""

import os
from collections.abc import Iterator
from typing import TypeVar

from atlas_resources.chains.chain import ENTRY_NAME, LAST_NAME, Chain
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.records.tag import TagEntry
from atlas_resources.plates.records.withdrawal import Withdrawal
from atlas_resources.tables.records.tags import TAGS
from atlas_resources.tables.records.withdrawals import WITHDRAWALS
from atlas_resources.tables.table import Table
from atlas_resources.tags.log import LOG as TAG_LOG
from atlas_resources.verification.findings import Finding, Place
from atlas_resources.verification.plates import stray
from atlas_resources.verification.reading import Reader
from atlas_resources.withdrawals.log import LOG as WITHDRAWAL_LOG

Content = TypeVar("Content", Withdrawal, TagEntry)


def verify_chains(dataset: Dataset, reader: Reader) -> list[Finding]:
    """Everything that is wrong in `withdrawals/` and `tags/`."""
    withdrawals = _verify_chain(dataset, reader, WITHDRAWAL_LOG, WITHDRAWALS)
    return [*withdrawals, *_verify_chain(dataset, reader, TAG_LOG, TAGS)]


def _verify_chain(dataset: Dataset, reader: Reader, chain: Chain[Content], table: Table) -> list[Finding]:
    place, folder = Place(dataset.root), dataset.root / chain.folder
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    findings = [stray(place, folder / name) for name in names if name != LAST_NAME and not ENTRY_NAME.fullmatch(name)]
    for _ in names:
        reader.count()
    with place.noting(findings):
        entries = chain.read(dataset.root)
        if not chain.is_last_recorded(dataset.root, entries):
            problem = f"a process was killed before it recorded entry {len(entries)}"
            fix = "none needed: the next entry records itself"
            findings.append(place.finding("unfinished", folder / LAST_NAME, problem, fix))
    findings += _lost(dataset, place, chain, table)
    return findings


def _lost(dataset: Dataset, place: Place, chain: Chain[Content], table: Table) -> Iterator[Finding]:
    """Entries that the ledger has and the folder has not: the whole end of the log may be gone, `last.json` with it."""
    present = {int(path.name[:6]) for path in chain.paths(dataset.root)}
    known = read_ledger(dataset, table, ("number", "file_sha256")).unique().sort("number")
    for number, sha256 in known.iter_rows():
        if number not in present:
            path = dataset.root / chain.folder / f"{number:06d}-*.json"
            problem = f"expected entry {number} with sha256 {sha256}, which ledger/{table.name} has, found none"
            yield place.finding("missing", path, problem, chain.fix)
