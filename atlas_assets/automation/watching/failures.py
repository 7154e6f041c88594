"""What of Dagster's records is reported: runs that failed and are not tried again, and checks that turned red.

Runs are read by public queries of the instance. Of checks there is no public query; the storage is asked, as the check
`sound` does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from atlas_assets.graph.dagster_internals import (
    WILL_RETRY_TAG,
    AssetCheckExecutionRecordStatus,
    PartitionKeyFilter,
)

MOST_RUNS = 10
"""Failed runs of one message; more are reported by the next tick."""
SHOWN = 10
"""Plates of a run that are named, and assets."""
MOST_EVENTS = 10_000
"""Events of one run that are read: a run has at most one for each failed plate and asset."""
MOST_CHARACTERS = 300
"""Of a reason."""


@dataclass(frozen=True)
class FailedPlate:
    """A plate that failed in a run.

    Attributes:
        plate_id: the plate.
        asset: what could not be made of it, such as `embeddings/KEY`.
        reason: why, one line.
    """

    plate_id: str
    asset: str
    reason: str


@dataclass(frozen=True)
class FailedRun:
    """A run that failed.

    Attributes:
        run_id: of Dagster.
        job: its name.
        requested_by: what started it, such as `fill_missing`; empty for a person.
        reasons: of its steps, one line each, the first SHOWN.
        plates: that failed, the first SHOWN.
        plate_count: all that failed.
        retry: the command that tries it again.
    """

    run_id: str
    job: str
    requested_by: str
    reasons: tuple[str, ...]
    plates: tuple[FailedPlate, ...]
    plate_count: int
    retry: str


@dataclass(frozen=True)
class RedCheck:
    """A check of an asset whose latest verdict is an error.

    Attributes:
        name: the asset and the check, such as `ledger/segments: rows_are_sound`.
        asset: the asset.
        reason: what it says, one line.
    """

    name: str
    asset: str
    reason: str


def one_line(text: object) -> str:
    """The first line of a text that has something in it, without control characters, and of limited length."""
    lines = ("".join(one if one.isprintable() else " " for one in line).strip() for line in str(text).splitlines())
    found = next((line for line in lines if line), "")
    return found if len(found) <= MOST_CHARACTERS else f"{found[: MOST_CHARACTERS - 3]}..."


def newest_failure(instance: dg.DagsterInstance) -> int:
    """The storage id of the newest failure of a run; 0 if there is none."""
    found = instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
    return found[0].storage_id if found else 0


def failed_runs(instance: dg.DagsterInstance, after: int) -> tuple[list[FailedRun], int]:
    """Runs that failed after a storage id, oldest first, at most MOST_RUNS; and the id after which to go on.

    A run that Dagster starts again is left out: what it comes to is reported of the next one.
    """
    asked = dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=after)
    records = instance.fetch_run_status_changes(asked, limit=MOST_RUNS, ascending=True).records
    found = []
    for record in records:
        run = instance.get_run_by_id(record.event_log_entry.run_id)
        if run is not None and run.tags.get(WILL_RETRY_TAG) != "true":
            found.append(_read_run(instance, run))
    return found, max((record.storage_id for record in records), default=after)


def _read_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> FailedRun:
    plates = list(_failed_plates(instance, run.run_id))
    ids = list(dict.fromkeys(plate.plate_id for plate in plates))
    assets = list(dict.fromkeys(plate.asset for plate in plates))
    if not plates:
        assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    return FailedRun(
        run_id=run.run_id,
        job=one_line(run.job_name),
        requested_by=one_line(run.tags.get("atlas/automation", "")),
        reasons=tuple(_step_reasons(instance, run.run_id)),
        plates=tuple(plates[:SHOWN]),
        plate_count=len(ids),
        retry=_retry(assets, ids),
    )


def _failed_plates(instance: dg.DagsterInstance, run_id: str) -> Iterator[FailedPlate]:
    """Each plate that failed, by the event that its step logged of it (`plate_step.events`)."""
    for event in _events(instance, run_id, dg.DagsterEventType.ASSET_OBSERVATION):
        seen = event.asset_observation_data.asset_observation
        if "failed" in seen.metadata and seen.partition is not None:
            asset = seen.asset_key.to_user_string()
            yield FailedPlate(one_line(seen.partition), asset, one_line(seen.metadata["failed"].value))


def _step_reasons(instance: dg.DagsterInstance, run_id: str) -> Iterator[str]:
    """Why steps failed, and if none did, why the run did."""
    steps = list(_events(instance, run_id, dg.DagsterEventType.STEP_FAILURE))
    for event in steps[:SHOWN]:
        failure: Any = event.step_failure_data
        stated = failure.user_failure_data and failure.user_failure_data.description
        yield one_line(f"{event.step_key}: {stated or failure.error_display_string or event.message}")
    if not steps:
        for event in _events(instance, run_id, dg.DagsterEventType.RUN_FAILURE):
            error = event.job_failure_data.error
            yield one_line(error.message if error else event.message)


def _events(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType) -> Iterator[Any]:
    for record in instance.get_records_for_run(run_id, of_type=kind, limit=MOST_EVENTS).records:
        if record.event_log_entry.dagster_event is not None:
            yield record.event_log_entry.dagster_event


def _retry(assets: Sequence[str], plate_ids: Sequence[str]) -> str:
    """The command: of a few plates or assets by name; else of all that failed, or are missing."""
    selection = " or ".join(f'key:"{asset}"' for asset in assets)
    if not assets or len(assets) > SHOWN or len(plate_ids) > SHOWN:
        return "atlas run --failed" if plate_ids else "atlas run --missing"
    return f"atlas run '{selection}'" + (f" --plates {','.join(plate_ids)}" if plate_ids else "")


def red_checks(instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]) -> Mapping[str, RedCheck]:
    """The checks whose latest verdict is an error, by name. Of a check of plates, it is that on the library.

    Args:
        instance: where verdicts are recorded.
        keys: the checks.
    """
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        keys, partition_filter=PartitionKeyFilter(key=None)
    )
    found = {}
    for key, record in latest.items():
        event = record.event.dagster_event if record.event else None
        if record.status != AssetCheckExecutionRecordStatus.FAILED or event is None:
            continue
        verdict = event.asset_check_evaluation_data
        if verdict.severity == dg.AssetCheckSeverity.ERROR:
            asset = key.asset_key.to_user_string()
            name = f"{asset}: {key.name}"
            found[name] = RedCheck(name, asset, one_line(verdict.description or "it failed"))
    return found
