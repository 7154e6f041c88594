"""The sensor for new scans: registers them, adds their partitions, requests their groundwork, reports refused ones."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from atlas_assets.automation.settings import AutomationSettings
from atlas_assets.automation.work_lists import AUTOMATION_TAG, WorkList, run_config_of
from atlas_assets.graph.checks.finding import finding_metadata
from atlas_assets.graph.checks.library import REFUSED_CHECK, REFUSED_KEY, refused_lines
from atlas_assets.graph.dagster_internals import range_tags
from atlas_assets.graph.groundwork import KEYS
from atlas_assets.graph.partitions import ORDINARY, Partitioning, Partitions, missing_partitions, new_partitions
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_assets.ui.metadata import summary
from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import Options, register_plan
from atlas_resources.plates.intake.scan_plan import plan_scans
from atlas_resources.plates.refused_scans import known_path
from atlas_resources.resources import DatasetResource

NEW_PLATE_KEYS = (MANIFEST_KEY, *KEYS)
TICK_BUDGET_SECONDS = 30.0  # Dagster ends a tick after 60 s; the next tick continues
HANDLED_NAME = "staged_scans.json"
"""In the dataset's root: the state of every staged file and index when last handled. The cursor is its digest."""


def _state(path: Path) -> str:
    """A text that changes whenever the file does; empty if there is no file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ""
    return f"{stat.st_size}-{stat.st_mtime_ns}"


@dataclass(frozen=True)
class Tick:
    """What a tick found.

    Attributes:
        cursor: For the next tick: the digest of `staged_scans.json`.
        refused: One line per file that this tick refused.
        notes: What became of the indexes, if any changed; plates whose index now states something else.
    """

    cursor: str
    refused: list[str]
    notes: list[str]


def _read_handled(dataset: Dataset, cursor: str | None) -> dict:
    """What was handled until the tick that returned the cursor; nothing if the file is another one."""
    path = dataset.root / HANDLED_NAME
    content = path.read_bytes() if path.is_file() else b""
    return json.loads(content) if content and _token(content) == cursor else {}


def _write_handled(dataset: Dataset, handled: dict) -> str:
    """Keeps what was handled. Returns the cursor for the next tick."""
    content = json.dumps(handled, sort_keys=True, indent=1).encode()
    path = dataset.root / HANDLED_NAME
    if not path.is_file() or path.read_bytes() != content:
        write_bytes_atomically(path, content)
    return _token(content)


def _token(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _register_staged(dataset: Dataset, cursor: str | None) -> Tick:
    """Registers staged scans that are new or changed since the last tick; all of them again if an index changed."""
    plan = plan_scans([dataset.staging_dir])
    listed = {known_path(dataset, report.path): _state(report.path) for report in plan.reports}
    before = _read_handled(dataset, cursor)
    is_same = before.get("indexes") == listed
    seen = before.get("files", {}) if is_same else {}
    handled = {name: state for name, state in seen.items() if _state(dataset.root / name) == state}
    refused = []
    notes = [] if is_same else [f"{known_path(dataset, report.path)}: {report.text}" for report in plan.reports]
    deadline = time.monotonic() + TICK_BUDGET_SECONDS
    registrations = register_plan(
        dataset, plan, Options(), is_wanted=lambda path: known_path(dataset, path) not in handled
    )
    with closing(registrations):
        for registration in registrations:
            name = known_path(dataset, registration.path)
            handled[name] = _state(registration.path)
            if registration.status == "refused":
                refused.append(f"{registration.path.relative_to(dataset.staging_dir)}: {registration.reason}")
            if registration.note:
                notes.append(f"{name} {registration.note}")
            if registration.differing:
                notes.append(
                    f"{registration.plate_id}: its index now has another {', '.join(registration.differing)}."
                    f" To take it over: atlas plates update INDEX"
                )
            if time.monotonic() > deadline:
                break
    return Tick(_write_handled(dataset, {"files": handled, "indexes": listed}), refused, notes)


def _refused_check(instance: dg.DagsterInstance, dataset: Dataset) -> list[dg.AssetCheckEvaluation]:
    """The check of refused scans, evaluated anew if it has another result than when it was last evaluated."""
    key = dg.AssetCheckKey(REFUSED_KEY, REFUSED_CHECK)
    lines = refused_lines(dataset)
    last = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).get(key)
    event = last.event.dagster_event if last and last.event else None
    shown = event.asset_check_evaluation_data.metadata["first"].value if event else None
    metadata = finding_metadata(len(lines), lines)
    if shown == metadata["first"].value or (shown is None and not lines):
        return []
    return [
        dg.AssetCheckEvaluation(
            asset_key=REFUSED_KEY,
            check_name=REFUSED_CHECK,
            passed=not lines,
            severity=dg.AssetCheckSeverity.WARN,
            description=summary(lines),
            metadata=metadata,
        )
    ]


def build_new_scans_sensor(settings: AutomationSettings, partitioning: Partitioning = ORDINARY) -> dg.SensorDefinition:
    """The sensor `register_new_scans`."""

    @dg.sensor(
        target=dg.AssetSelection.assets(*NEW_PLATE_KEYS, REFUSED_KEY),
        minimum_interval_seconds=15,
        default_status=settings.sensor_status("sensors", "conditions"),
        description="Registers scans that appear in the dataset's plates/ folder, adds their partitions and requests "
        "their groundwork. Plates registered on the command line are included. Refused scans are in the check "
        f"{REFUSED_CHECK} of ledger/refused_scans until they are gone or right.",
    )
    def register_new_scans(context: dg.SensorEvaluationContext, dataset: DatasetResource) -> dg.SensorResult:
        opened = dataset.open()
        tick = _register_staged(opened, context.cursor)
        for line in tick.notes:
            context.log.info(line)
        for line in tick.refused:
            context.log.error(f"refused {line}")
        partitions = partitioning.of(opened)
        new = missing_partitions(context.instance, opened, partitions)
        found = {"cursor": tick.cursor, "asset_events": _refused_check(context.instance, opened)}
        if not new:
            reasons = ["no new plates", *(f"refused {line}" for line in tick.refused)]
            return dg.SensorResult(skip_reason="; ".join(reasons), **found)
        context.log.info(f"{len(new)} new plates: {new[0]} to {new[-1]}")
        keys = new_partitions(context.instance, partitions, new)
        return dg.SensorResult(
            dynamic_partitions_requests=[partitions.definition.build_add_request(keys)] if keys else [],
            run_requests=list(_requests(new, partitions)),
            **found,
        )

    return register_new_scans


def _requests(plate_ids: list[str], partitions: Partitions) -> Iterator[dg.RunRequest]:
    """One run over all new plates, which are together at the end of the partitions.

    The first of them may be in a shard that had plates before: these have a run of their own, a work list.
    """
    keys, new = partitions.keys_of(plate_ids), set(plate_ids)
    shared = {key for key, plates in partitions.plates_of(dict.fromkeys(keys.values())).items() if not new >= {*plates}}
    for chosen in ([one for one in plate_ids if (keys[one] in shared) is is_shared] for is_shared in (True, False)):
        if not chosen:
            continue
        is_list = keys[chosen[0]] in shared
        last = chosen[0] if is_list else chosen[-1]
        yield dg.RunRequest(
            run_key=f"groundwork:{chosen[0]}:{chosen[-1]}",
            asset_selection=list(NEW_PLATE_KEYS),
            run_config=run_config_of(WorkList.of(NEW_PLATE_KEYS, chosen)) if is_list else None,
            tags={**range_tags(keys[chosen[0]], keys[last]), AUTOMATION_TAG: "register_new_scans"},
        )
