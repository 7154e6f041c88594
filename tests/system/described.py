"""A program that takes a dataset through the three stages of describing it, until it is killed. Prints `ready`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder of `support`

import dagster as dg
import pytest
from support.interrupted import slow_down_the_disk
from support.made_datasets import Graph
from support.made_stages import STAGES, stage_registry

from atlas_resources.plates.dataset import Dataset

if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        graph = Graph(Dataset(Path(sys.argv[1])), stage_registry(Path(sys.argv[2]), patch), instance)
        slow_down_the_disk()
        print("ready", flush=True)
        for asset in STAGES.values():
            graph.materialize(asset)
