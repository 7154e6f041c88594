"""A check that looks at rows and names the wrong ones."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.graph.ledger_origins import ledger_key
from atlas_assets.ui.metadata import markdown_list, summary
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.tables.table import IS_CURRENT, Table

Finding = Callable[[Dataset], tuple[int, list[str]]]  # number of rows checked, and a line per wrong row


def current_rows(dataset: Dataset, table: Table) -> pl.DataFrame:
    """The ledger's rows of current results."""
    return read_ledger(dataset, table).filter(IS_CURRENT.name)


def build_check(
    table: Table,
    name: str,
    description: str,
    find: Finding,
    *,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    is_blocking: bool = False,
    also_read: Sequence[Table] = (),
) -> Any:
    """Builds a check of a ledger.

    Args:
        table: the ledger.
        name: of the check.
        description: what holds if it passes.
        find: finds what is wrong.
        severity: whether what it finds is an error or a warning.
        is_blocking: whether the catalogue is not rebuilt when it fails with an error.
        also_read: other ledgers that it reads; they are refreshed before it in the same run.
    """
    others = [ledger_key(other) for other in also_read]

    @dg.asset_check(
        asset=ledger_key(table), additional_deps=others, name=name, description=description, blocking=is_blocking
    )
    def check(dataset: DatasetResource) -> dg.AssetCheckResult:
        looked_at, wrong = find(dataset.open())
        metadata = finding_metadata(looked_at, wrong)
        return dg.AssetCheckResult(passed=not wrong, severity=severity, description=summary(wrong), metadata=metadata)

    return check


def finding_metadata(looked_at: int, wrong: Sequence[str]) -> dict[str, Any]:
    """What a check shows: how many it looked at, how many are wrong, and the first of these."""
    return {
        "looked_at": looked_at,
        "wrong": len(wrong),
        "first": dg.MetadataValue.md(markdown_list(wrong[:20]) or "none"),
    }
