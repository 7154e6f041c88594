"""The partitions of every plate asset: one per registered plate, in order of registration."""

import dagster as dg

from atlas_resources.plates.dataset import Dataset

PLATES = dg.DynamicPartitionsDefinition(name="plates")
PLATES_NAME = "plates"


def missing_partitions(instance: dg.DagsterInstance, dataset: Dataset) -> list[str]:
    """Registered plates that Dagster does not know yet, in order of registration."""
    known = set(instance.get_dynamic_partitions(PLATES_NAME))
    return [plate_id for plate_id in dataset.plate_ids() if plate_id not in known]


def add_missing_partitions(instance: dg.DagsterInstance, dataset: Dataset) -> list[str]:
    """Tells Dagster of every registered plate; returns the new ones."""
    missing = missing_partitions(instance, dataset)
    if missing:
        instance.add_dynamic_partitions(PLATES_NAME, missing)
    return missing
