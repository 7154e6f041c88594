"""A small dataset with a file of every kind, and what a verification finds in it."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.chains.person import Person
from atlas_resources.files.durable import write_json_atomically
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.snapshots.creating import create_snapshot
from atlas_resources.verification.findings import Finding
from atlas_resources.verification.library import Level, verify
from atlas_resources.withdrawals.entering import Target, restore, withdraw
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import make_dataset
from support.made_results import GivenVectors, build_ledgers, measure, measure_groundwork, run_instrument
from support.made_tags import tagged

VECTORS = {"plate-001": (1.0, 2.0, 0.0)}  # plate-002 has none, so that it fails


def make_verified(folder: Path) -> tuple[Dataset, Registry]:
    """Two plates and a refused scan, with a file of every kind: vectors, masks, failures, a snapshot, a catalogue."""
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    dataset = make_dataset(folder, "red", "green")
    (torn := folder / "torn.png").write_bytes(b"torn")
    list(register_scans(dataset, [torn]))
    plate = dataset.plate("plate-001")
    changes = {"title": "Corrected", "manifest_version": 2, "updated_at": datetime(2026, 11, 21, 10, tzinfo=UTC)}
    corrected = plate.identity().model_copy(update=changes)
    write_json_atomically(plate.manifest_version_path(corrected), corrected)
    measure_groundwork(dataset)
    entry = withdraw(dataset, Target("plate", "plate-001"), "rights", "a claim", Person("A. Person", "option"))
    restore(dataset, entry.content.number, "settled", Person("A. Person", "option"))
    tagged(dataset, "plate-001", "torn")
    measure(dataset, registry, EMBEDDER, GivenVectors(VECTORS))
    run_instrument(dataset, registry, SEGMENTER)
    create_snapshot(dataset, registry, "first", key=Ed25519PrivateKey.generate())
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    return dataset, registry


def findings_in(dataset: Dataset, registry: Registry, level: Level = "standard") -> list[Finding]:
    """What a verification of everything finds."""
    return list(verify(dataset, registry, level).findings)
