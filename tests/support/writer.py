"""What one of several processes does that write to a dataset at once."""

import sys

import pytest

from atlas_assets.roles.works import make_groundwork
from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.snapshots.creating import create_snapshot
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec, install
from support.made_results import build_ledgers, run_instrument
from support.made_withdrawals import withdrawn


def registry() -> Registry:
    return fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))


def write(dataset: Dataset, number: int) -> None:
    """Does every step on every plate, with a withdrawal and a snapshot of its own, once a line is on its input."""
    install(pytest.MonkeyPatch())
    instruments = registry()
    print("ready", flush=True)
    sys.stdin.readline()
    list(register_scans(dataset, [dataset.root.parent / "scans"]))
    list(make_groundwork(dataset, dataset.plate_ids()))
    for key in (EMBEDDER, SEGMENTER):
        print(*run_instrument(dataset, instruments, key), flush=True)
    withdrawn(dataset, "source", dataset.plate(f"plate-00{number}").source_sha256())
    build_ledgers(dataset, instruments)
    build_catalogue(dataset, instruments)
    create_snapshot(dataset, instruments, f"writer-{number}")
