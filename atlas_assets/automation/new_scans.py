"""The sensor for new scans: registers them, adds their partitions and requests their groundwork."""

import json
import time
from contextlib import closing
from pathlib import Path

import dagster as dg

from atlas_assets.automation.work_lists import AUTOMATION_TAG
from atlas_assets.graph.dagster_internals import range_tags
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, INPUT_IMAGE_KEY
from atlas_assets.graph.partitions import PLATES, missing_partitions
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.resources import DatasetResource

TICK_BUDGET_SECONDS = 30.0  # Dagster ends a tick after 60 s; the next tick continues


def _state(path: Path) -> str:
    """A text that changes whenever the file does; empty if there is no file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ""
    return f"{stat.st_size}-{stat.st_mtime_ns}"


def _register_staged(dataset: Dataset, seen: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Registers staged scans that are new or changed since the last tick.

    Returns:
        The state of every staged file handled so far, and one line per refused file.
    """
    handled = {path: state for path, state in seen.items() if _state(Path(path)) == state}
    refused = []
    deadline = time.monotonic() + TICK_BUDGET_SECONDS
    registrations = register_scans(dataset, [dataset.staging_dir], is_wanted=lambda path: str(path) not in handled)
    with closing(registrations):
        for registration in registrations:
            handled[str(registration.path)] = _state(registration.path)
            if registration.status == "refused":
                refused.append(f"{registration.path.relative_to(dataset.staging_dir)}: {registration.reason}")
            if time.monotonic() > deadline:
                break
    return handled, refused


@dg.sensor(
    target=dg.AssetSelection.assets(MANIFEST_KEY, INPUT_IMAGE_KEY, HISTOGRAMS_KEY),
    minimum_interval_seconds=30,
    description="Registers scans that appear in the dataset's plates/ folder, adds their partitions and requests "
    "their groundwork. Plates registered on the command line are included.",
)
def register_new_scans(
    context: dg.SensorEvaluationContext, dataset: DatasetResource
) -> dg.SensorResult | dg.SkipReason:
    """Requests one run for all new plates, which are together at the end of the partitions."""
    opened = dataset.open()
    seen, refused = _register_staged(opened, json.loads(context.cursor or "{}"))
    context.update_cursor(json.dumps(seen))
    for line in refused:
        context.log.error(f"refused {line}")
    new = missing_partitions(context.instance, opened)
    if not new:
        return dg.SkipReason("; ".join(["no new plates", *(f"refused {line}" for line in refused)]))
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
