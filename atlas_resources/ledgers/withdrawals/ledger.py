"""Builds `ledger/withdrawals`, and says whether it is behind the log."""

from collections.abc import Iterator

import polars as pl

from atlas_resources.ledgers.parquet import read_ledger, write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.records.withdrawals import WITHDRAWALS
from atlas_resources.withdrawals.log import read_log


def build_withdrawals(dataset: Dataset) -> pl.DataFrame:
    """`ledger/withdrawals`: every entry of the log. Raises DatasetBroken if the log is not whole."""
    entries = read_log(dataset.root)
    restored_by = {one.content.restores: one.content.number for one in entries if one.content.kind == "restore"}
    rows = [
        {
            **entry.content.model_dump(),
            "restored_by": restored_by.get(entry.content.number),
            "is_in_force": entry.content.kind == "withdraw" and entry.content.number not in restored_by,
            "file_sha256": entry.sha256,
        }
        for entry in entries
    ]
    return write_ledger(dataset, WITHDRAWALS, WITHDRAWALS.frame(rows))


def changed_withdrawals(dataset: Dataset) -> Iterator[str]:
    """Why the ledgers are behind the log, if they are. Raises DatasetBroken if the log is not whole."""
    present = {(entry.content.number, entry.sha256) for entry in read_log(dataset.root)}
    known = set(read_ledger(dataset, WITHDRAWALS).select("number", "file_sha256").iter_rows())
    if differing := present ^ known:
        number, digest = max(differing)
        # The reason is part of a run key: another digest requests another refresh.
        yield f"withdrawals or restorations were entered; the newest is entry {number} ({digest[:8]})"
