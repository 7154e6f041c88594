"""Marks what is withdrawn in the ledgers: the column `withdrawn_by` of runs, plates and models."""

from typing import Any

import polars as pl

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.records.withdrawal import Withdrawal
from atlas_resources.runs.sealed import read_manifest, withdrawal_of
from atlas_resources.tables.records.withdrawals import WITHDRAWN_BY
from atlas_resources.withdrawals.in_force import Withdrawn, read_withdrawn

KEY_COLUMNS = ["run_id", "plate_id"]
FACTS = [*KEY_COLUMNS, "instrument", "weights_sha256", "source_sha256", "inputs"]


def mark_withdrawn_runs(dataset: Dataset, runs: pl.DataFrame) -> pl.DataFrame:
    """Rows of runs with `withdrawn_by`, which follows from the run and from the runs whose results it has read.

    Args:
        dataset: the dataset.
        runs: rows of `ledger/runs`, with or without the column.

    Raises:
        DatasetBroken: the log of withdrawals is not whole.
    """
    withdrawn, rows = read_withdrawn(dataset.root), runs.drop(WITHDRAWN_BY.name, strict=False)
    found = (
        (row["run_id"], row["plate_id"], entry.number)
        for row in (rows.select(FACTS).iter_rows(named=True) if withdrawn.entries else ())
        if (entry := _withdrawal(dataset, row, withdrawn))
    )
    schema = {"run_id": pl.String, "plate_id": pl.String, WITHDRAWN_BY.name: WITHDRAWN_BY.dtype}
    return rows.join(pl.DataFrame(list(found), schema=schema, orient="row"), on=KEY_COLUMNS, how="left")


def _withdrawal(dataset: Dataset, row: dict[str, Any], withdrawn: Withdrawn) -> Withdrawal | None:
    """The entry that withdraws a row of `runs`. Goes by the row, which stays if the run's manifest is altered later."""
    plate_id, source_sha256 = row["plate_id"], row["source_sha256"]
    own = withdrawn.of_run(row["run_id"], plate_id, row["instrument"], row["weights_sha256"], source_sha256)
    if own:
        return own
    plate = dataset.plate(plate_id)
    for path in (file["path"] for file in row["inputs"] or [] if file["path"].startswith("runs/")):
        run_id = path.split("/")[1]
        try:
            found = withdrawal_of(plate, read_manifest(plate, run_id), withdrawn, read_manifest)
        except DatasetBroken:  # `left_out.py` names it; its id is known
            found = withdrawn.of_run(run_id, plate_id, "", None, source_sha256)
        if found:
            return found
    return None
