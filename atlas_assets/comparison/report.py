"""One encoder beside another, over the plates that both have measured: agreement, what moved, retrieval, cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from atlas_assets.comparison.facts import Facts, facts_of
from atlas_assets.comparison.pairs import Pair
from atlas_assets.comparison.retrieval import Retrieval, retrieve
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_as_built, read_ledger
from atlas_resources.ledgers.topology.agreement import SIZES, compare
from atlas_resources.ledgers.topology.neighbours import Graph
from atlas_resources.ledgers.topology.spaces import joint_inputs
from atlas_resources.measures.spaces.neighbour_graphs import nearest, shared
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import PLATES
from atlas_resources.tables.topology.agreement import AGREEMENT

MEASURES = (*(f"neighbours_{k}" for k in SIZES), "cka")
MOVED_BY = 10
"""A plate has moved as far as it shares few of so many neighbours."""
NEIGHBOURS_SHOWN = 5


@dataclass(frozen=True)
class Moved:
    """A plate whose neighbours changed.

    Attributes:
        plate_id: the plate.
        shared_count: how many of its `k` nearest both encoders name.
        k: of how many.
        first, second: its nearest plates by each, the nearest first.
    """

    plate_id: str
    shared_count: int
    k: int
    first: tuple[str, ...]
    second: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Everything that is said of two encoders; `agreement` has rows of the ledger of that name."""

    first: Facts
    second: Facts
    plate_count: int
    agreement: tuple[Mapping[str, Any], ...]
    moved: tuple[Moved, ...]
    retrieval: Retrieval | None
    titles: Mapping[str, str | None]


def compare_encoders(
    dataset: Dataset, registry: Registry, pair: Pair, labels: Mapping[str, str] | None, moved_count: int
) -> Comparison:
    """Compares two encoders. Nothing is written.

    Args:
        dataset: the library.
        registry: every instrument.
        pair: see `read_pair`.
        labels: the label of plates, for retrieval; None leaves it out.
        moved_count: how many of the plates that moved most are named.

    Raises:
        ValueError: no plate with a label and both vectors has another one of its label.
        WeightsMismatch: see `facts_of`.
    """
    graphs = {one.name: Graph(one.plate_ids, *nearest(one.unit, max(SIZES)), one.inputs_sha256)
              for one in (pair.first, pair.second)}  # fmt: skip
    facts = [
        facts_of(dataset, registry.instruments[one.name], measured, one.unit.shape[1])
        for one, measured in zip((pair.first, pair.second), pair.measured, strict=True)
    ]
    return Comparison(
        first=facts[0],
        second=facts[1],
        plate_count=len(pair.plate_ids),
        agreement=tuple(_agreement(dataset, pair, graphs)),
        moved=tuple(most_moved(graphs[pair.first.name], graphs[pair.second.name], moved_count)),
        retrieval=None if labels is None else retrieve(pair, labels),
        titles=dict(read_ledger(dataset, PLATES, ("plate_id", "title")).iter_rows()),
    )


def _agreement(dataset: Dataset, pair: Pair, graphs: Mapping[str, Graph]) -> list[dict[str, Any]]:
    """The rows of MEASURES, in their order: from the ledger if it is of these vectors, else computed as it is."""
    one, other = sorted((pair.first, pair.second), key=lambda space: space.name)
    digest = joint_inputs(one.inputs_sha256, other.inputs_sha256)
    rows = read_as_built(dataset, AGREEMENT).filter(pl.col("inputs_sha256") == digest).to_dicts()
    by_measure = {row["measure"]: row for row in rows or compare(one, other, dict(graphs))}
    return [by_measure[measure] for measure in MEASURES if measure in by_measure]


def most_moved(first: Graph, second: Graph, count: int) -> list[Moved]:
    """The plates that share the fewest neighbours between two graphs of the same plates; of equal ones, by id."""
    k = min(MOVED_BY, first.indices.shape[1])
    common = shared(first.indices[:, :k], second.indices[:, :k])
    return [
        Moved(first.plate_ids[row], round(float(common[row]) * k), k, _shown(first, row), _shown(second, row))
        for row in np.argsort(common, kind="stable")[:count].tolist()
        if common[row] < 1
    ]


def _shown(graph: Graph, row: int) -> tuple[str, ...]:
    return tuple(graph.plate_ids[number] for number in graph.indices[row, :NEIGHBOURS_SHOWN].tolist())
