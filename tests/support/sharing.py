"""Runs a slow instrument over every plate of a dataset, on a signal. Prints each plate's status."""

import sys

import pytest

from atlas_assets.roles.segmentation import SegmentationWork
from atlas_resources.models.loading import load_model
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.execution import execute_run
from support import fake_instruments
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec


def measure_all(dataset: Dataset, order: str) -> None:
    """Measures every plate, in order of registration or `backwards`."""
    with pytest.MonkeyPatch.context() as patch:
        fake_instruments.install(patch)
        _measure(dataset, order)


def _measure(dataset: Dataset, order: str) -> None:
    registry = fake_registry(fake_spec(SEGMENTER, delay_seconds=0.2))
    instrument = registry.instruments[SEGMENTER]
    plate_ids = dataset.plate_ids()
    if order == "backwards":
        plate_ids.reverse()
    work = SegmentationWork(instrument.spec, lambda: load_model(instrument.spec))
    print("ready", flush=True)
    sys.stdin.readline()
    for outcome in execute_run(dataset, instrument, plate_ids, work):
        print(outcome.plate_id, outcome.status, flush=True)
