"""A program that takes a dataset through the three stages of describing it, until it is killed. Prints `ready`.

Arguments: the dataset, a hub's cache, and for a served model, as JSON: `served`, `has_schema`, `parameters`.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder of `support`

import dagster as dg
import pytest
from support.interrupted import slow_down_the_disk
from support.made_datasets import Graph
from support.made_stages import STAGES, served_registry, stage_registry

from atlas_resources.instruments.spec.served import Served
from atlas_resources.plates.dataset import Dataset

if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        hub = Path(sys.argv[2])
        if len(sys.argv) > 3:
            asked = json.loads(sys.argv[3])
            served = Served.model_validate(asked["served"])
            registry = served_registry(hub, patch, served, has_schema=asked["has_schema"], **asked["parameters"])
        else:
            registry = stage_registry(hub, patch)
        graph = Graph(Dataset(Path(sys.argv[1])), registry, instance)
        slow_down_the_disk()
        print("ready", flush=True)
        for asset in STAGES.values():
            graph.materialize(asset)
