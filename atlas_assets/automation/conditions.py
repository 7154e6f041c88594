"""What Dagster's own automation needs: a condition on each asset, and how old a ledger may be.

The conditions request what the sensors request, as Dagster sees it: from its events, not from the plates' files. They
act only while the sensor `conditions` is on.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from atlas_assets.automation.settings import AutomationSettings
from atlas_assets.graph.groundwork import KEYS
from atlas_assets.graph.instruments import asset_key
from atlas_assets.graph.ledgers import LEDGER_KEYS
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_resources.instruments.registry import Registry

Condition = dg.AutomationCondition[dg.AssetKey]
CONDITIONS = "conditions"
GRACE = timedelta(hours=2), timedelta(hours=12)
"""How much older than the settings allow a ledger may be before the UI warns, and before it shows it as overdue."""


def with_policies(
    assets: Sequence[dg.AssetsDefinition | dg.AssetSpec], registry: Registry, settings: AutomationSettings
) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """The same assets with the policy of each: plates, groundwork and active instruments are filled, ledgers refreshed.

    Assets that cannot run, as those without weights, have none.

    The version of a ledger is that of the instruments: which of its rows are current depends on them. Ledgers have a
    freshness policy if automation is on: without it, nobody promises that they are fresh.
    """
    fingerprints = sorted(instrument.identity.fingerprint for instrument in registry.instruments.values())
    version = hashlib.sha256(",".join(fingerprints).encode()).hexdigest()[:16]
    filled = {MANIFEST_KEY, *KEYS, *map(asset_key, registry.active_instruments)}
    every = timedelta(hours=settings.rebuild_ledgers_hours)
    fresh = dg.FreshnessPolicy.time_window(warn_window=every + GRACE[0], fail_window=every + GRACE[1])

    def with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.key in filled:
            return spec.replace_attributes(automation_condition=_filled(settings))
        if spec.key in LEDGER_KEYS:
            is_on = settings.switch != "off"
            return spec.replace_attributes(
                automation_condition=_refreshed(settings),
                code_version=version,
                freshness_policy=fresh if is_on else None,
            )
        return spec

    return [one if isinstance(one, dg.AssetSpec) else one.map_asset_specs(with_policy) for one in assets]


def _nightly(settings: AutomationSettings) -> Condition:
    return dg.AutomationCondition.cron_tick_passed(settings.nightly.cron, settings.nightly.timezone)


def _handled() -> dg.AutomationCondition:
    return dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()


def _filled(settings: AutomationSettings) -> Condition:
    """Missing plates at once, failed ones once a night, all plates after a change of the instrument."""
    condition = dg.AutomationCondition
    is_possible = ~condition.in_progress() & ~condition.any_deps_missing() & ~condition.any_deps_in_progress()
    missing = condition.missing() & ~condition.execution_failed()
    again = _nightly(settings) & (condition.missing() | condition.execution_failed())
    changed = condition.code_version_changed().since(_handled())
    return (is_possible & (missing | again | changed)).with_label(
        "fill missing plates at once, failed ones at night, all after a change of version"
    )


def _refreshed(settings: AutomationSettings) -> Condition:
    """Built once its inputs or the instruments have changed and nothing is being made, and once a night."""
    condition = dg.AutomationCondition
    is_settled = ~condition.in_progress() & ~condition.any_deps_in_progress()
    is_new = condition.any_deps_updated() | condition.missing() | condition.code_version_changed() | _nightly(settings)
    is_due = is_new.since(_handled())
    return (is_settled & is_due).with_label("refresh once inputs have changed and settled, and every night")


def build_condition_sensor(settings: AutomationSettings) -> dg.AutomationConditionSensorDefinition:
    """The sensor that acts on the conditions. Dagster requests backfills, one for each chain of assets."""
    return dg.AutomationConditionSensorDefinition(
        CONDITIONS,
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=30,
        default_status=settings.sensor_status("conditions"),
        description="Dagster's declarative automation: acts on the condition of each asset. An alternative to "
        "fill_missing and refresh_ledgers; switch on either, not both.",
    )
