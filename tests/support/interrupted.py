"""Work on a dataset with slow disk flushes, to be done in a process that is killed. Prints `ready` first."""

import os
import time

import dagster as dg
import pytest

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.plates.dataset import Dataset
from support import fake_instruments
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph
from support.made_results import build_ledgers

FLUSH_SECONDS = 0.01


def slow_down_the_disk() -> None:
    """Slows each flush, so that a kill most often happens in the middle of writing."""
    flush = os.fsync

    def slow_flush(descriptor: int) -> None:
        time.sleep(FLUSH_SECONDS)
        flush(descriptor)

    os.fsync = slow_flush


def measure_plates(dataset: Dataset) -> None:
    """Runs the slow fake segmenter over every plate, through Dagster."""
    with dg.DagsterInstance.ephemeral() as instance:
        graph = Graph(dataset, fake_registry(fake_spec(SEGMENTER, delay_seconds=0.01)), instance)
        graph.materialize(f"segments/{SEGMENTER}")


def rebuild_for_ever(dataset: Dataset) -> None:
    """Rebuilds ledgers and catalogue in a loop, over the old files."""
    registry = fake_registry(fake_spec(SEGMENTER, delay_seconds=0.01))
    while True:
        build_ledgers(dataset, registry)
        build_catalogue(dataset, registry)


def work(what: str, dataset: Dataset) -> None:
    """Says `ready`, and does what is asked: `measure` or `rebuild`."""
    with pytest.MonkeyPatch.context() as patch:
        fake_instruments.install(patch)
        slow_down_the_disk()
        print("ready", flush=True)
        {"measure": measure_plates, "rebuild": rebuild_for_ever}[what](dataset)
