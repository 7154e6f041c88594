"""A run in a process of its own, with fake instruments: `python watched_run.py DATASET SECONDS_A_PLATE`."""

import sys
from pathlib import Path

import pytest

from atlas_assets.roles.works import build_work, make_groundwork
from atlas_resources.models.loading import load_model
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.execution import execute_run
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec, install


def main(root: Path, delay_seconds: float) -> None:
    """Measures every plate of a dataset with the fake embedder, after its groundwork."""
    install(pytest.MonkeyPatch())
    dataset = Dataset(root)
    instrument = fake_registry(fake_spec(EMBEDDER, delay_seconds=delay_seconds)).instruments[EMBEDDER]
    work = build_work(instrument, lambda: load_model(instrument.spec))
    list(make_groundwork(dataset, dataset.plate_ids()))
    for outcome in execute_run(dataset, instrument, dataset.plate_ids(), work):
        print(outcome.plate_id, outcome.status, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
