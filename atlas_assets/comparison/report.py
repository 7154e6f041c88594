"""One encoder beside another, over the plates that both have measured: agreement, what moved, retrieval, cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from atlas_assets.comparison.facts import Facts, facts_of
from atlas_assets.search.encoding import measure_with, require_encoder
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_as_built, read_ledger
from atlas_resources.ledgers.topology.agreement import SIZES, compare
from atlas_resources.ledgers.topology.neighbours import Graph
from atlas_resources.ledgers.topology.spaces import Space, joint_inputs, read_embedding_spaces
from atlas_resources.measures.spaces.chance import bootstrap_of_mean
from atlas_resources.measures.spaces.neighbour_graphs import nearest, shared
from atlas_resources.measures.spaces.retrieval import (
    McNemar,
    Proportion,
    Rankings,
    mcnemar,
    proportion,
    rank_same_label,
    recall_by_chance,
)
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import PLATES
from atlas_resources.tables.topology.agreement import AGREEMENT

MEASURES = (*(f"neighbours_{k}" for k in SIZES), "cka")
RECALLED = (1, 5)
MOVED_BY = 10
"""A plate has moved as far as it shares few of so many neighbours."""
NEIGHBOURS_SHOWN = 5


class NotComparable(ValueError):
    """Two instruments without current vectors in common plates; the message names the command that makes them."""


@dataclass(frozen=True)
class Pair:
    """The current vectors of two encoders over the same plates, in the order that was asked for.

    `measured` is how many plates each has a current vector of.
    """

    first: Space
    second: Space
    measured: tuple[int, int]

    @property
    def plate_ids(self) -> tuple[str, ...]:
        """The plates, sorted."""
        return self.first.plate_ids


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
class Recall:
    """Recall@k by both encoders on the same queries, what chance gives, and McNemar's test between them."""

    k: int
    first: Proportion
    second: Proportion
    chance: float
    test: McNemar


@dataclass(frozen=True)
class Mean:
    """A mean over queries with the 95 % interval of the bootstrap over them."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Retrieval:
    """Retrieval on a labelled set.

    Attributes:
        labelled: plates with a label and both vectors.
        left_out: labelled plates without both vectors.
        queries: labelled plates with another one of their label.
        recalls: for each k of RECALLED.
        first, second: mean average precision by each encoder.
        gain: the second's average precision less the first's, query by query.
    """

    labelled: int
    left_out: int
    queries: int
    recalls: tuple[Recall, ...]
    first: Mean
    second: Mean
    gain: Mean


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


def read_pair(dataset: Dataset, registry: Registry, names: Sequence[str]) -> Pair:
    """The vectors of two encoders over the plates that both have measured.

    Args:
        dataset: the library.
        registry: every instrument.
        names: two keys, model ids or aliases.

    Raises:
        KeyError, ValueError: see `require_encoder`; or both names are of one instrument.
        NotComparable: one has no current vectors, or they have no plates in common.
    """
    first, second = (require_encoder(registry, name).key for name in names)
    if first == second:
        raise ValueError(f"expected two instruments, found {first} twice. `atlas models list --role embedding`")
    spaces = {one.name: one for one in read_embedding_spaces(dataset, registry, (first, second))}
    for key in (first, second):
        if key not in spaces:
            raise NotComparable(f"no plate has a current vector of {key}. Fix: {measure_with(key)}")
    common = sorted(set(spaces[first].plate_ids) & set(spaces[second].plate_ids))
    if len(common) < 2:
        fixes = f"{measure_with(first)}; {measure_with(second)}"
        raise NotComparable(f"{first} and {second} have {len(common)} plates in common; expected 2. Fix: {fixes}")
    measured = len(spaces[first].plate_ids), len(spaces[second].plate_ids)
    return Pair(_over(spaces[first], common), _over(spaces[second], common), measured)


def _over(space: Space, plate_ids: Sequence[str]) -> Space:
    rows = {plate_id: number for number, plate_id in enumerate(space.plate_ids)}
    numbers = [rows[plate_id] for plate_id in plate_ids]
    runs = tuple(space.run_ids[number] for number in numbers)
    return replace(space, plate_ids=tuple(plate_ids), unit=space.unit[numbers], run_ids=runs)


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


def retrieve(pair: Pair, labels: Mapping[str, str]) -> Retrieval:
    """Retrieval of plates of the same label among labelled plates. Raises ValueError if no label has two plates."""
    rows = [number for number, plate_id in enumerate(pair.plate_ids) if plate_id in labels]
    _, numbers = np.unique([labels[pair.plate_ids[row]] for row in rows], return_inverse=True)
    first, second = (rank_same_label(space.unit[rows], numbers) for space in (pair.first, pair.second))
    if not len(first.queries):
        raise ValueError(
            f"expected two plates of a label, both with vectors of {pair.first.name} and {pair.second.name}; "
            f"found none among {len(rows)} plates"
        )
    return Retrieval(
        labelled=len(rows),
        left_out=len(labels) - len(rows),
        queries=len(first.queries),
        recalls=tuple(_recall(k, first, second, recall_by_chance(numbers, k)) for k in RECALLED),
        first=_mean(first.average_precision),
        second=_mean(second.average_precision),
        gain=_mean(second.average_precision - first.average_precision),
    )


def _recall(k: int, first: Rankings, second: Rankings, chance: float) -> Recall:
    found = first.is_found(k), second.is_found(k)
    return Recall(k, proportion(found[0]), proportion(found[1]), chance, mcnemar(*found))


def _mean(values: np.ndarray) -> Mean:
    return Mean(float(values.mean()), *bootstrap_of_mean(values))
