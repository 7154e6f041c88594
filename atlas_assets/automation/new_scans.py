"""The sensor for new scans: registers them, adds their partitions and requests their groundwork."""

import json
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from atlas_assets.automation.work_lists import AUTOMATION_TAG
from atlas_assets.graph.dagster_internals import range_tags
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, INPUT_IMAGE_KEY
from atlas_assets.graph.partitions import PLATES, missing_partitions
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import Options, register_plan
from atlas_resources.plates.intake.scan_plan import plan_scans
from atlas_resources.plates.refused_scans import known_path
from atlas_resources.resources import DatasetResource

TICK_BUDGET_SECONDS = 30.0  # Dagster ends a tick after 60 s; the next tick continues


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
        cursor: For the next tick: the state of every staged file handled so far, and of the indexes.
        refused: One line per refused file.
        notes: What became of the indexes, if any changed; plates whose index now states something else.
    """

    cursor: str
    refused: list[str]
    notes: list[str]


def _register_staged(dataset: Dataset, cursor: str | None) -> Tick:
    """Registers staged scans that are new or changed since the last tick; all of them again if an index changed."""
    plan = plan_scans([dataset.staging_dir])
    listed = {known_path(dataset, report.path): _state(report.path) for report in plan.reports}
    before = json.loads(cursor or "{}")
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
    return Tick(json.dumps({"files": handled, "indexes": listed}), refused, notes)


@dg.sensor(
    target=dg.AssetSelection.assets(MANIFEST_KEY, INPUT_IMAGE_KEY, HISTOGRAMS_KEY),
    minimum_interval_seconds=15,
    description="Registers scans that appear in the dataset's plates/ folder, adds their partitions and requests "
    "their groundwork. Plates registered on the command line are included.",
)
def register_new_scans(
    context: dg.SensorEvaluationContext, dataset: DatasetResource
) -> dg.SensorResult | dg.SkipReason:
    """Requests one run for all new plates, which are together at the end of the partitions."""
    opened = dataset.open()
    tick = _register_staged(opened, context.cursor)
    context.update_cursor(tick.cursor)
    for line in tick.notes:
        context.log.info(line)
    for line in tick.refused:
        context.log.error(f"refused {line}")
    new = missing_partitions(context.instance, opened)
    if not new:
        return dg.SkipReason("; ".join(["no new plates", *(f"refused {line}" for line in tick.refused)]))
    context.log.info(f"{len(new)} new plates: {new[0]} to {new[-1]}")
    return dg.SensorResult(
        dynamic_partitions_requests=[PLATES.build_add_request(new)],
        run_requests=[
            dg.RunRequest(
                run_key=f"groundwork:{new[0]}:{new[-1]}",
                asset_selection=[MANIFEST_KEY, INPUT_IMAGE_KEY, HISTOGRAMS_KEY],
                tags={
                    **range_tags(new[0], new[-1]),
                    AUTOMATION_TAG: "register_new_scans",
                },
            )
        ],
    )
