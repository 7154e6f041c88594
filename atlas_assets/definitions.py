"""Assembles the graph, and does nothing else. Importing it reads `model_specs/` and imports no torch."""

from pathlib import Path

import dagster as dg

from atlas_assets.automation.conditions import with_policies
from atlas_assets.automation.schedules.page import build_page_schedule
from atlas_assets.automation.schedules.reproduction import build_reproduction_schedule
from atlas_assets.automation.schedules.verification import build_verify_job, build_verify_schedules
from atlas_assets.automation.selections import build_jobs
from atlas_assets.automation.sensors import build_automation
from atlas_assets.automation.settings import read_settings
from atlas_assets.graph.checks.events import build_events_check
from atlas_assets.graph.checks.ledgers import build_ledger_checks
from atlas_assets.graph.checks.library import build_library_checks
from atlas_assets.graph.checks.verification import build_verification_check
from atlas_assets.graph.comparisons.assets import build_comparison_assets
from atlas_assets.graph.executor import steps_executor
from atlas_assets.graph.groundwork import build_groundwork
from atlas_assets.graph.instruments import build_broken_spec_assets, build_instrument_asset
from atlas_assets.graph.ledgers import build_ledger_assets
from atlas_assets.graph.partitions import read_partitioning
from atlas_assets.graph.plate_step.shared_pass import sharing_instruments
from atlas_assets.graph.plates import build_plate_manifest
from atlas_assets.graph.published.page import build_page_asset
from atlas_assets.graph.reproduction import build_reproduction_job
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.plates.dataset import dataset_root
from atlas_resources.resources import DatasetResource, build_instrument_resource


def build_definitions(registry: Registry, root: Path) -> dg.Definitions:
    """The whole graph over one dataset.

    Args:
        registry: the instruments; one asset and one resource per admitted one.
        root: the dataset root.
    """
    instruments = registry.instruments.values()
    settings, partitioning = read_settings(), read_partitioning()
    ledgers = build_ledger_assets(registry, settings.most_attempts)
    sensors, schedules = build_automation(registry, settings, [assets.key for assets in ledgers])
    reproduction = build_reproduction_job(registry)
    sharing = sharing_instruments(instruments)
    made = [build_instrument_asset(instrument, sharing, partitioning) for instrument in instruments]
    measured = [build_plate_manifest(partitioning), build_groundwork(sharing, partitioning), *made]
    assets = [*measured, *ledgers, *build_comparison_assets(registry), build_page_asset()]
    return dg.Definitions(
        assets=[*with_policies(assets, registry, settings), *build_broken_spec_assets(registry)],
        resources={
            "dataset": DatasetResource(root=str(root)),
            **{instrument.key: build_instrument_resource(instrument) for instrument in instruments},
        },
        asset_checks=[
            *build_ledger_checks(registry),
            *build_library_checks(registry),
            build_verification_check(registry, settings.most_attempts),
            build_events_check(registry),
        ],
        metadata={"dataset": dg.MetadataValue.path(root)},
        jobs=[*build_jobs(registry), build_verify_job(), reproduction],
        sensors=sensors,
        schedules=[
            *schedules,
            *build_verify_schedules(settings),
            build_reproduction_schedule(reproduction, settings),
            build_page_schedule(settings),
        ],
        executor=steps_executor,
    )


defs = build_definitions(read_registry(), dataset_root())
