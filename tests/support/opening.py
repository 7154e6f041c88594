"""Opens a dataset's Dagster instance on a signal, in one of several processes that do so at once."""

import sys

from atlas_assets.in_process.instance import open_instance
from atlas_resources.plates.dataset import Dataset


def open_and_add(dataset: Dataset, plate_id: str) -> None:
    """Says `ready`, waits for a line, opens the instance, adds a partition and prints how many runs there are."""
    print("ready", flush=True)
    sys.stdin.readline()
    with open_instance(dataset) as instance:
        instance.add_dynamic_partitions("plates", [plate_id])
        print(instance.get_runs_count(), flush=True)
