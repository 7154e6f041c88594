"""Ledgers of sealed runs: what ran, what it measured, and from what. Each reads only the runs it does not hold yet.

A run that is not as it was sealed is left out of all of them; `left_out.py` names it.
"""

import json

import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import (
    complete_runs,
    read_ledger,
    read_sealed_files,
    runs_in,
    runs_in_ledger,
    sealed_runs,
    write_ledger,
)
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.run_contracts import Metrics, RunManifest
from atlas_resources.runs.faults import RunKey, SealedFault, require_whole, try_read, whole_plates
from atlas_resources.runs.sealed import read_manifest
from atlas_resources.tables.ledgers import LINEAGE, RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT


def build_runs(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`ledger/runs`: the manifest of every sealed run that is whole, and what it cost."""
    on_disk = sealed_runs(dataset)
    old = _still_sealed(read_ledger(dataset, RUNS), on_disk)
    found = try_read(dataset, on_disk - runs_in(old), require_whole)
    new = RUNS.frame(_run_row(*one) for one in found if not isinstance(one, SealedFault))
    rows = _count_attempts(pl.concat([old, new]).drop(IS_CURRENT.name))
    return write_ledger(dataset, RUNS, _mark_current(rows, _current_runs(dataset, registry, rows)))


def build_instrument_table(dataset: Dataset, role: str) -> pl.DataFrame:
    """`ledger/<table>` of a role: the rows of every sealed result that is whole. Requires `ledger/runs`."""
    table, complete = INSTRUMENT_TABLES[role], complete_runs(dataset, role)
    old = _still_sealed(read_ledger(dataset, table), complete)
    new, _ = read_sealed_files(dataset, role, complete - runs_in(old))
    rows = pl.concat([old.drop(IS_CURRENT.name), new])
    current = read_ledger(dataset, RUNS).filter(pl.col(IS_CURRENT.name)).select("run_id", "plate_id")
    return write_ledger(dataset, table, _mark_current(rows, current))


def build_lineage(dataset: Dataset) -> pl.DataFrame:
    """`ledger/lineage`: what each sealed output was made from. Requires `ledger/runs`."""
    known = runs_in_ledger(dataset, RUNS)
    old = _still_sealed(read_ledger(dataset, LINEAGE), known)
    rows = [
        {
            "plate_id": manifest.plate_id,
            "run_id": manifest.run_id,
            "instrument": manifest.instrument.key,
            "output_path": output.path,
            "output_sha256": output.sha256,
            "input_path": source.path,
            "input_sha256": source.sha256,
            "weights_sha256": manifest.instrument.weights_sha256,
            "fingerprint": manifest.instrument.fingerprint,
            "code_git_sha": manifest.code.git_sha,
            "dagster_run_id": manifest.dagster_run_id,
        }
        for manifest in try_read(dataset, known - runs_in(old), read_manifest)
        if not isinstance(manifest, SealedFault)
        for output in manifest.outputs
        for source in manifest.inputs
    ]
    return write_ledger(dataset, LINEAGE, pl.concat([old, LINEAGE.frame(rows)]))


def _still_sealed(rows: pl.DataFrame, on_disk: set[RunKey]) -> pl.DataFrame:
    """The rows whose sealed run is still on disk."""
    keys = pl.DataFrame(list(on_disk), schema={"run_id": pl.String, "plate_id": pl.String}, orient="row")
    return rows.join(keys, on=["run_id", "plate_id"], how="semi")


def _run_row(manifest: RunManifest, metrics: Metrics | None) -> dict:
    instrument = manifest.instrument
    error = manifest.error
    return {
        "run_id": manifest.run_id,
        "plate_id": manifest.plate_id,
        "instrument": instrument.key,
        "role": instrument.role,
        **instrument.model_dump(
            include={
                "model_id",
                "model_sha",
                "weights_sha256",
                "preprocess_tag",
                "fingerprint",
                "licence",
                "commercial_use",
            }
        ),
        "source_sha256": manifest.source_sha256,
        "status": manifest.status,
        "error_type": error.type if error else None,
        "error_message": error.message if error else None,
        "error_stage": error.stage if error else None,
        "started_at": manifest.started_at,
        "sealed_at": manifest.sealed_at,
        "device": manifest.environment.device,
        "dtype": manifest.environment.dtype,
        "packages": json.dumps(manifest.environment.packages, sort_keys=True),
        "code_git_sha": manifest.code.git_sha,
        "code_is_dirty": manifest.code.is_dirty,
        "dagster_run_id": manifest.dagster_run_id,
        **_cost(metrics),
    }


def _cost(metrics: Metrics | None) -> dict:
    """What the plate cost, as columns; empty for a failed plate."""
    if metrics is None:
        return {}
    seconds = metrics.seconds.model_dump() if metrics.seconds else {}
    return {f"{stage}_seconds": value for stage, value in seconds.items()} | {
        "peak_memory_bytes": metrics.peak_memory_bytes
    }


def _count_attempts(rows: pl.DataFrame) -> pl.DataFrame:
    """Numbers the runs of each plate, instrument, fingerprint and source by their ids, which begin with their time."""
    same = ("plate_id", "instrument", "fingerprint", "source_sha256")
    return rows.with_columns(attempt=pl.col("run_id").rank("ordinal").over(same).cast(pl.Int32))


def _current_runs(dataset: Dataset, registry: Registry, runs: pl.DataFrame) -> pl.DataFrame:
    """run_id and plate_id of the newest complete run per plate and instrument with present fingerprint and source."""
    present = pl.DataFrame(
        [(key, instrument.identity.fingerprint) for key, instrument in registry.instruments.items()],
        schema={"instrument": pl.String, "fingerprint": pl.String},
        orient="row",
    )
    sources = pl.DataFrame(
        [(plate.id, plate.source_sha256()) for plate in whole_plates(dataset)],
        schema={"plate_id": pl.String, "source_sha256": pl.String},
        orient="row",
    )
    return (
        runs.filter(pl.col("status") == "complete")
        .join(present, on=["instrument", "fingerprint"], how="semi")
        .join(sources, on=["plate_id", "source_sha256"], how="semi")
        .group_by("instrument", "plate_id")
        .agg(pl.col("run_id").max())
        .select("run_id", "plate_id")
    )


def _mark_current(rows: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    marks = current.with_columns(pl.lit(True).alias(IS_CURRENT.name))
    return (
        rows.drop(IS_CURRENT.name, strict=False)
        .join(marks, on=["run_id", "plate_id"], how="left")
        .with_columns(pl.col(IS_CURRENT.name).fill_null(False))
    )
