"""Ledgers of sealed runs: what they measured, and what ran. Each reads only the runs it does not hold yet.

The manifests of a role's runs are gathered with its results; `runs` puts them together. A run that is not as it
was sealed is left out of all of them; `left_out.py` names it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path

import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.growth.growing import RowsOfPlates, grow, read_made_of
from atlas_resources.ledgers.growth.made_of import NOTHING, MadeOf, combined, differing_plates, signature
from atlas_resources.ledgers.growth.parts import Part, read_parts
from atlas_resources.ledgers.growth.signatures import run_signatures
from atlas_resources.ledgers.parquet import (
    ledger_path,
    read_files,
    read_runs_of,
    read_sealed_files,
    runs_in,
    runs_path,
    write_ledger,
)
from atlas_resources.ledgers.withdrawals.marks import mark_withdrawn_runs
from atlas_resources.models.servers.records import server_sha256
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import Accelerator, Metrics, RunManifest, ServerRecord
from atlas_resources.runs.faults import RunKey, SealedFault, list_all_runs, require_outputs, try_read
from atlas_resources.runs.sealed import read_manifest
from atlas_resources.tables.ledgers import RUNS
from atlas_resources.tables.records.withdrawals import WITHDRAWN_BY
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT
from atlas_resources.withdrawals.in_force import read_withdrawn


def build_results(dataset: Dataset, registry: Registry, role: str) -> pl.LazyFrame:
    """`ledger/<table>` of a role: the rows of every sealed result that is whole.

    Gathers the manifests of the role's runs first. Reads runs that were sealed since, and those that were not whole.
    Without the table, everything of the role is read again.
    """
    table = INSTRUMENT_TABLES[role]
    wanted = wanted_of_role(dataset, registry, role)
    is_kept = read_made_of(dataset, ledger_path(dataset, table), table) is not NOTHING
    unsettled = _gather_runs(dataset, registry, role, wanted, is_kept=is_kept)
    if unsettled:
        wanted = MadeOf(wanted.context, {**wanted.signatures, **dict.fromkeys(unsettled, "")})

    runs = RowsOfPlates.of_ledger(dataset, runs_path(dataset, role), RUNS)

    def make(plate_ids: list[str], old: pl.DataFrame) -> tuple[pl.DataFrame, set[str]]:
        own = runs.of(plate_ids)
        complete = runs_in(own.filter(status="complete"))
        known = _still_sealed(old, complete)
        new, faults = read_sealed_files(dataset, role, complete - runs_in(known))
        rows = pl.concat([known.drop(IS_CURRENT.name), new])
        marked = _mark_current(rows, _keys_of(own.filter(IS_CURRENT.name)))
        return marked, {fault.plate_id for fault in faults}

    return grow(dataset, table, wanted, make)


def wanted_of_role(dataset: Dataset, registry: Registry, role: str) -> MadeOf:
    """What the runs and results of a role follow from."""
    present = sorted((key, one.identity.fingerprint) for key, one in registry.instruments.items())
    context = signature(role, present, read_withdrawn(dataset.root).entries)
    return MadeOf(context, run_signatures(dataset))


def gathered_runs(dataset: Dataset) -> MadeOf:
    """What `ledger/runs` follows from: what the runs of all roles are made of."""
    return combined([read_made_of(dataset, runs_path(dataset, role), RUNS) for role in INSTRUMENT_TABLES])


def open_plates(dataset: Dataset) -> list[str]:
    """The registered plates that may have other runs than the ledgers have rows of.

    Those with other run folders than when a ledger was built, and those with a run that was not whole then.
    """
    present = run_signatures(dataset)
    found = set(differing_plates(read_made_of(dataset, ledger_path(dataset, RUNS), RUNS), gathered_runs(dataset)))
    for role, table in INSTRUMENT_TABLES.items():
        for path, of in ((runs_path(dataset, role), RUNS), (ledger_path(dataset, table), table)):
            held = read_made_of(dataset, path, of).signatures
            if held != present:
                found |= {one for one, text in present.items() if held.get(one) != text}
    return [plate_id for plate_id in present if plate_id in found]


def build_runs(dataset: Dataset) -> pl.LazyFrame:
    """`ledger/runs`: every sealed run that is whole, and what it cost, as gathered with the results of each role."""
    wanted = gathered_runs(dataset)
    if wanted is NOTHING:
        gathered = pl.concat([read_runs_of(dataset, role) for role in INSTRUMENT_TABLES])
        return write_ledger(dataset, RUNS, gathered).lazy()

    of_roles = [RowsOfPlates.of_ledger(dataset, runs_path(dataset, role), RUNS) for role in INSTRUMENT_TABLES]

    def make(plate_ids: list[str], old: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
        return pl.concat([rows.of(plate_ids) for rows in of_roles]), ()

    return grow(dataset, RUNS, wanted, make)


@lru_cache(256)
def _run_ids_in(part: Path, sha256: str) -> frozenset[str]:
    """The ids of the runs in a part, which is read once in this process."""
    return frozenset(read_files([part], RUNS, ("run_id",))["run_id"].unique())


class _RunIds:
    """The ids of the runs that were gathered with other roles."""

    def __init__(self, parts: Sequence[Part]):
        self._parts = parts

    @classmethod
    def of_others(cls, dataset: Dataset, role: str) -> "_RunIds":
        """Those of all roles but one."""
        paths = [runs_path(dataset, other) for other in INSTRUMENT_TABLES if other != role]
        return cls([part for path in paths for part in read_parts(dataset, path, RUNS)])

    @cached_property
    def _parts_of(self) -> dict[str, list[Part]]:
        found: dict[str, list[Part]] = {}
        for part in self._parts:
            for plate_id in part.made_of.signatures:
                found.setdefault(plate_id, []).append(part)
        return found

    def of(self, plate_ids: Iterable[str]) -> set[str]:
        """Those in the parts that some plates are in."""
        parts = {part.path: part for one in plate_ids for part in self._parts_of.get(one, ())}
        return {run_id for path, part in parts.items() for run_id in _run_ids_in(path, part.sha256)}


def _gather_runs(dataset: Dataset, registry: Registry, role: str, wanted: MadeOf, *, is_kept: bool) -> set[str]:
    """Gathers the whole runs of a role: those known, and those on disk that were gathered with no role yet.

    Returns the plates with a run that is not whole, whose results are looked at again.
    """
    others, all_unsettled = _RunIds.of_others(dataset, role), set[str]()

    def make(plate_ids: list[str], old: pl.DataFrame) -> tuple[pl.DataFrame, set[str]]:
        identities = dataset.identities()
        run_ids = list_all_runs(dataset, identities).ids
        on_disk = {(run_id, plate_id) for plate_id in plate_ids for run_id in run_ids[plate_id]}
        known = _still_sealed(old, on_disk)
        unread = on_disk - runs_in(known)
        if unread:  # a run id is of one instrument, so of one role
            of_others = others.of(plate_ids)
            unread = {key for key in unread if key[0] not in of_others}
        found = list(try_read(dataset, unread, partial(_read_run, role=role)))
        new = RUNS.frame(_run_row(*one) for one in found if isinstance(one, tuple))
        rows = mark_withdrawn_runs(dataset, _count_attempts(pl.concat([known, new]).drop(IS_CURRENT.name)))
        sources = {one: identities[one].source_sha256 for one in plate_ids if identities[one].fault is None}
        marked = _mark_current(rows, _current_runs(registry, rows, sources))
        unsettled = {one.plate_id for one in found if isinstance(one, SealedFault)}
        all_unsettled.update(unsettled)
        return marked, unsettled

    grow(dataset, RUNS, wanted, make, path=runs_path(dataset, role), is_kept=is_kept)
    return all_unsettled


def _read_run(plate: Plate, run_id: str, *, role: str) -> tuple[RunManifest, Metrics | None] | None:
    """The manifest and metrics of a plate's run; None for a run of another role. Raises as `require_whole` does."""
    manifest = read_manifest(plate, run_id)
    return (manifest, require_outputs(plate, manifest)) if manifest.instrument.role == role else None


def _keys_of(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("run_id", "plate_id")


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
        **_accelerator(manifest.environment.accelerator),
        **_server(manifest.environment.server),
        "code_git_sha": manifest.code.git_sha,
        "code_is_dirty": manifest.code.is_dirty,
        "dagster_run_id": manifest.dagster_run_id,
        "inputs": [{"path": file.path, "sha256": file.sha256} for file in manifest.inputs],
        "outputs": [{"path": file.path, "sha256": file.sha256} for file in manifest.outputs],
        **_cost(metrics),
    }


def _accelerator(used: Accelerator | None) -> dict:
    """The CUDA device, as columns; empty for the CPU."""
    if used is None:
        return {}
    return {
        "accelerator": used.name,
        "accelerator_index": used.index,
        **used.model_dump(include={"driver", "cuda", "cudnn"}),
        "modes": json.dumps(used.modes, sort_keys=True),
    }


def _server(record: ServerRecord | None) -> dict:
    """The server that answered, as columns; empty for a model of the run's own process."""
    if record is None:
        return {}
    return {"server_sha256": server_sha256(record), "server": record.model_dump_json()}


def _cost(metrics: Metrics | None) -> dict:
    """What the plate cost, as columns; empty for a failed plate."""
    if metrics is None:
        return {}
    seconds = metrics.seconds.model_dump() if metrics.seconds else {}
    return {f"{stage}_seconds": value for stage, value in seconds.items()} | {
        "peak_memory_bytes": metrics.peak_memory_bytes,
        "peak_device_memory_bytes": metrics.peak_device_memory_bytes,
    }


def _count_attempts(rows: pl.DataFrame) -> pl.DataFrame:
    """Numbers the runs of each plate, instrument, fingerprint and source by their ids, which begin with their time."""
    same = ("plate_id", "instrument", "fingerprint", "source_sha256")
    return rows.with_columns(attempt=pl.col("run_id").rank("ordinal").over(same).cast(pl.Int32))


def _current_runs(registry: Registry, runs: pl.DataFrame, sources: Mapping[str, str | None]) -> pl.DataFrame:
    """run_id and plate_id of the newest complete run per plate and instrument with present fingerprint and source.

    Runs that are withdrawn are not among them.
    """
    present = pl.DataFrame(
        [(key, instrument.identity.fingerprint) for key, instrument in registry.instruments.items()],
        schema={"instrument": pl.String, "fingerprint": pl.String},
        orient="row",
    )
    registered = pl.DataFrame(
        list(sources.items()),
        schema={"plate_id": pl.String, "source_sha256": pl.String},
        orient="row",
    )
    return (
        runs.filter(pl.col("status") == "complete", pl.col(WITHDRAWN_BY.name).is_null())
        .join(present, on=["instrument", "fingerprint"], how="semi")
        .join(registered, on=["plate_id", "source_sha256"], how="semi")
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
