"""The check that Dagster's events agree with the disk. It warns: the disk is right, and the events can be repaired."""

from typing import Any

import dagster as dg

from atlas_assets.graph.checks.finding import finding_metadata
from atlas_assets.graph.ledger_origins import ledger_key
from atlas_assets.graph.recorded.differences import FIX, find_differences
from atlas_assets.ui.metadata import summary
from atlas_resources.instruments.registry import Registry
from atlas_resources.resources import DatasetResource
from atlas_resources.tables.completeness import COMPLETENESS

EVENTS_CHECK = "events_match_the_disk"
EVENTS_MEANING = (
    "Dagster shows as materialised what the disk has, of the same version, and every registered plate has a partition. "
    f"Fix: `{FIX}`."
)


def build_events_check(registry: Registry) -> Any:
    """Builds `events_match_the_disk`, of `ledger/completeness`."""

    @dg.asset_check(asset=ledger_key(COMPLETENESS), name=EVENTS_CHECK, description=EVENTS_MEANING)
    def check(context: dg.AssetCheckExecutionContext, dataset: DatasetResource) -> dg.AssetCheckResult:
        differences = find_differences(context.instance, dataset.open(), registry)
        wrong = list(differences.lines())
        return dg.AssetCheckResult(
            passed=not wrong,
            severity=dg.AssetCheckSeverity.WARN,
            description=summary(wrong),
            metadata={**finding_metadata(differences.compared, wrong), **({"fix": FIX} if wrong else {})},
        )

    return check
