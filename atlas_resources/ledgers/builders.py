"""The function that builds each ledger, and building all of them."""

import importlib
from collections.abc import Callable
from functools import partial

import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.benchmarks.build import build_benchmarks
from atlas_resources.ledgers.completeness.ledger import build_completeness
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS
from atlas_resources.ledgers.intake import build_refused_scans
from atlas_resources.ledgers.lineage.build import build_lineage
from atlas_resources.ledgers.models import build_models
from atlas_resources.ledgers.parquet import building
from atlas_resources.ledgers.plates import build_groundwork_failures, build_histograms, build_plates
from atlas_resources.ledgers.reproductions.build import build_reproductions
from atlas_resources.ledgers.runs import build_results, build_runs
from atlas_resources.ledgers.segment_sets import build_segment_sets
from atlas_resources.ledgers.snapshots.build import build_snapshot_runs, build_snapshots
from atlas_resources.ledgers.tags.ledger import build_tags
from atlas_resources.ledgers.withdrawals.ledger import build_withdrawals
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.memory import one_look
from atlas_resources.tables.results import INSTRUMENT_TABLES

Builder = Callable[[Dataset, Registry, int], pl.DataFrame | pl.LazyFrame]
"""Builds a ledger of a dataset, by the instruments, and the number of failures after which a plate is given up."""


def _build_results(role: str, dataset: Dataset, registry: Registry, most_attempts: int) -> pl.LazyFrame:
    return build_results(dataset, registry, role)


def _build_topology(path: str, dataset: Dataset, registry: Registry, most_attempts: int) -> pl.DataFrame:
    """Builds a ledger of topology by the module and name of its function: SciPy and scikit-learn load slowly."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"atlas_resources.ledgers.topology.{module}"), name)(dataset, registry)


BUILDERS: dict[str, Builder] = {
    "plates": lambda dataset, registry, most_attempts: build_plates(dataset),
    "histograms": lambda dataset, registry, most_attempts: build_histograms(dataset),
    "refused_scans": lambda dataset, registry, most_attempts: build_refused_scans(dataset),
    "groundwork_failures": lambda dataset, registry, most_attempts: build_groundwork_failures(dataset),
    **{table.name: partial(_build_results, role) for role, table in INSTRUMENT_TABLES.items()},
    "segment_sets": lambda dataset, registry, most_attempts: build_segment_sets(dataset),
    "runs": lambda dataset, registry, most_attempts: build_runs(dataset),
    "lineage": lambda dataset, registry, most_attempts: build_lineage(dataset),
    "reproductions": lambda dataset, registry, most_attempts: build_reproductions(dataset),
    "benchmarks": lambda dataset, registry, most_attempts: build_benchmarks(dataset),
    "models": lambda dataset, registry, most_attempts: build_models(dataset, registry),
    "completeness": build_completeness,
    "snapshots": lambda dataset, registry, most_attempts: build_snapshots(dataset),
    "snapshot_runs": lambda dataset, registry, most_attempts: build_snapshot_runs(dataset),
    "withdrawals": lambda dataset, registry, most_attempts: build_withdrawals(dataset),
    "neighbours": partial(_build_topology, "neighbours.build_neighbours"),
    "plate_spaces": partial(_build_topology, "shapes.build_plate_spaces"),
    "spaces": partial(_build_topology, "shapes.build_spaces"),
    "coordinates": partial(_build_topology, "coordinates.build_coordinates"),
    "agreement": partial(_build_topology, "agreement.build_agreement"),
    "plate_agreement": partial(_build_topology, "agreement.build_plate_agreement"),
    "near_duplicates": partial(_build_topology, "copies.build_near_duplicates"),
    "additions": partial(_build_topology, "additions.build_additions"),
    "tags": lambda dataset, registry, most_attempts: build_tags(dataset),
}
"""By the ledger's name. Each comes after the ledgers that it reads."""


def build_ledger(name: str, dataset: Dataset, registry: Registry, most_attempts: int = MOST_ATTEMPTS) -> pl.LazyFrame:
    """Builds one ledger and returns its rows. Waits for a process that builds it, or one that it is made from."""
    with one_look(dataset.root), building(dataset, name):
        return BUILDERS[name](dataset, registry, most_attempts).lazy()


def build_all(dataset: Dataset, registry: Registry, most_attempts: int = MOST_ATTEMPTS) -> dict[str, pl.LazyFrame]:
    """Builds every ledger of a dataset from one look at the plates' files. Returns the rows of each, by its name."""
    with one_look(dataset.root):
        return {name: build_ledger(name, dataset, registry, most_attempts) for name in BUILDERS}
