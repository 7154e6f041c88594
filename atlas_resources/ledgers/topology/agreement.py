"""The ledgers of agreement: of every two spaces as a whole, and of all embedding spaces on each plate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_as_built, read_ledger, write_ledger
from atlas_resources.ledgers.topology.neighbours import Graph, graph_of, plate_agreement_inputs, read_graphs
from atlas_resources.ledgers.topology.spaces import COLOUR, DECIMALS, Space, joint_inputs, present_inputs, read_spaces
from atlas_resources.measures.spaces.agreement import (
    debiased_cka,
    distance_ranks,
    gram,
    principal_axes,
    procrustes_similarity,
    rank_correlation,
)
from atlas_resources.measures.spaces.chance import (
    SEED,
    bootstrap_of_mean,
    calibrate,
    half_sample_interval,
    permutations,
)
from atlas_resources.measures.spaces.neighbour_graphs import nearest, relabelled, shared
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.topology.agreement import AGREEMENT, PLATE_AGREEMENT
from atlas_resources.tables.topology.spaces import PLATE_SPACES

SIZES = (5, 10, 20)
"""Numbers of neighbours that are compared."""
PLATE_SIZE = 10
LEAST_PLATES = 8
MOST_COMPARED = 1000
"""Measures of all pairs of plates take time and memory by the square: they are of so many plates at most."""


def build_agreement(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`topology/agreement`. Rows of two spaces that have not changed are kept. Requires neighbours."""
    present = present_inputs(dataset, registry)
    pairs = {
        joint_inputs(present[one], present[other]): (one, other) for one, other in combinations(sorted(present), 2)
    }
    kept = read_as_built(dataset, AGREEMENT).filter(pl.col("inputs_sha256").is_in(list(pairs)))
    missing = {digest: pair for digest, pair in pairs.items() if digest not in set(kept["inputs_sha256"])}
    rows: list[dict[str, Any]] = []
    if missing:
        spaces, graphs = {space.name: space for space in read_spaces(dataset, registry)}, read_graphs(dataset)
        for digest, (one, other) in missing.items():
            common = {"first_space": one, "second_space": other, "inputs_sha256": digest}
            rows += [{**common, **row} for row in compare(spaces[one], spaces[other], graphs)]
    return write_ledger(dataset, AGREEMENT, pl.concat([kept, AGREEMENT.frame(rows)]))


@dataclass(frozen=True)
class _Measured:
    """One measure of two spaces: over so many plates, its value, the values under permutation, its interval."""

    plates: int
    value: float
    null: np.ndarray
    interval: tuple[float, float]
    kind: Literal["bootstrap", "half_samples"] = "half_samples"

    def row(self, measure: str) -> dict[str, Any]:
        """The row of `agreement`."""
        found = calibrate(self.value, self.null)
        numbers = {
            "value": self.value,
            "low": self.interval[0],
            "high": self.interval[1],
            "null_mean": found.null_mean,
            "critical": found.critical,
            "p_value": found.p_value,
            "calibrated": found.calibrated,
        }
        known = {name: None if np.isnan(number) else round(number, DECIMALS) for name, number in numbers.items()}
        return {"measure": measure, "plate_count": self.plates, "interval": self.kind, **known}


def compare(first: Space, second: Space, graphs: dict[str, Graph]) -> Iterator[dict[str, Any]]:
    """A row for each measure of two spaces over the plates that are in both; none for fewer than LEAST_PLATES."""
    plate_ids = sorted(set(first.plate_ids) & set(second.plate_ids))
    if len(plate_ids) < LEAST_PLATES:
        return
    units = [_of_plates(space, plate_ids) for space in (first, second)]
    is_whole = first.plate_ids == second.plate_ids
    if is_whole:
        whole = [graph_of(space, graphs).indices for space in (first, second)]
    else:
        whole = [nearest(unit, max(SIZES))[0] for unit in units]
    for k in SIZES:
        if k < len(plate_ids) - 1:
            yield _of_neighbours(whole[0][:, :k], whole[1][:, :k]).row(f"neighbours_{k}")
    if len(plate_ids) > MOST_COMPARED:
        some = np.sort(np.random.default_rng(SEED).permutation(len(plate_ids))[:MOST_COMPARED])
        units = [unit[some] for unit in units]
    yield _of_kernels(*(gram(unit) for unit in units)).row("cka")
    yield _of_ranks(*(gram(unit) for unit in units)).row("distance_ranks")
    yield _of_axes(*units).row("procrustes")


def _of_plates(space: Space, plate_ids: Sequence[str]) -> np.ndarray:
    rows = {plate_id: number for number, plate_id in enumerate(space.plate_ids)}
    return space.unit[[rows[plate_id] for plate_id in plate_ids]]


def _of_neighbours(first: np.ndarray, second: np.ndarray) -> _Measured:
    found = shared(first, second)
    null = np.array([shared(first, relabelled(second, order)).mean() for order in permutations(len(first))])
    return _Measured(len(first), float(found.mean()), null, bootstrap_of_mean(found), "bootstrap")


def _of_kernels(first: np.ndarray, second: np.ndarray) -> _Measured:
    count, value = len(first), debiased_cka(first, second)
    null = np.array([debiased_cka(first, second[np.ix_(order, order)]) for order in permutations(count)])
    interval = half_sample_interval(
        value, lambda some: debiased_cka(first[np.ix_(some, some)], second[np.ix_(some, some)]), count
    )
    return _Measured(count, value, null, interval)


def _of_ranks(first: np.ndarray, second: np.ndarray) -> _Measured:
    count, upper = len(first), np.triu_indices(len(first), 1)
    ranks = distance_ranks(first), distance_ranks(second)
    square = np.zeros(second.shape)
    square[upper] = ranks[1]
    square += square.T  # the ranks of permuted plates are the permuted ranks
    null = np.array([rank_correlation(ranks[0], square[np.ix_(order, order)][upper]) for order in permutations(count)])
    value = rank_correlation(*ranks)
    interval = half_sample_interval(
        value,
        lambda some: rank_correlation(
            distance_ranks(first[np.ix_(some, some)]), distance_ranks(second[np.ix_(some, some)])
        ),
        count,
    )
    return _Measured(count, value, null, interval)


def _of_axes(first: np.ndarray, second: np.ndarray) -> _Measured:
    axes = principal_axes(first), principal_axes(second)
    count, value = len(first), procrustes_similarity(*axes)
    null = np.array([procrustes_similarity(axes[0], axes[1][order]) for order in permutations(count)])
    interval = half_sample_interval(
        value, lambda some: procrustes_similarity(principal_axes(first[some]), principal_axes(second[some])), count
    )
    return _Measured(count, value, null, interval)


def build_plate_agreement(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`topology/plate_agreement`. Requires neighbours and plate_spaces."""
    graphs = {name: graph for name, graph in read_graphs(dataset).items() if name != COLOUR}
    digest, placed = plate_agreement_inputs(dataset), read_ledger(dataset, PLATE_SPACES)
    kept = read_as_built(dataset, PLATE_AGREEMENT)
    if kept.height and kept["inputs_sha256"].eq(digest).all():
        return write_ledger(dataset, PLATE_AGREEMENT, kept)
    pairs: dict[str, list[tuple[float, list[str]]]] = {}
    for one, other in combinations(sorted(graphs), 2):
        for plate_id, share in _shared_by_plate(graphs[one], graphs[other]):
            pairs.setdefault(plate_id, []).append((share, [one, other]))
    rows = [
        {**row, "inputs_sha256": digest, **_agreement_on(pairs.get(row["plate_id"], []))}
        for row in _alone(placed).to_dicts()
    ]
    frame = PLATE_AGREEMENT.frame(rows).with_columns(
        disagreement_rank=pl.col("disagreement").rank("min", descending=True).cast(pl.Int64)
    )
    return write_ledger(dataset, PLATE_AGREEMENT, frame)


def _shared_by_plate(first: Graph, second: Graph) -> Iterator[tuple[str, float]]:
    """The share of common neighbours of each plate that is in both spaces, among plates that are in both."""
    if first.plate_ids == second.plate_ids:
        k = min(PLATE_SIZE, first.indices.shape[1])
        yield from zip(first.plate_ids, shared(first.indices[:, :k], second.indices[:, :k]).tolist(), strict=True)
        return
    common = set(first.plate_ids) & set(second.plate_ids)
    near = [
        {
            plate_id: [name for name in (graph.plate_ids[number] for number in row) if name in common][:PLATE_SIZE]
            for plate_id, row in zip(graph.plate_ids, graph.indices.tolist(), strict=True)
        }
        for graph in (first, second)
    ]
    for plate_id in sorted(common):
        one, other = (graph[plate_id] for graph in near)
        k = min(len(one), len(other))
        if k:
            yield plate_id, len(set(one[:k]) & set(other[:k])) / k


def _agreement_on(pairs: list[tuple[float, list[str]]]) -> dict[str, Any]:
    if not pairs:
        return {}
    mean = round(float(np.mean([share for share, _ in pairs])), DECIMALS)
    return {
        "shared_neighbours": mean,
        "disagreement": round(1 - mean, DECIMALS),
        "least_alike_spaces": min(pairs)[1],
    }


def _alone(plates: pl.DataFrame) -> pl.DataFrame:
    """Of each plate: in how many embedding spaces it is, where it is an outlier, and how unique it is."""
    of_embedding = pl.col("space") != COLOUR
    return (
        plates.group_by("plate_id")
        .agg(
            of_embedding.sum().cast(pl.Int64).alias("space_count"),
            pl.col("space").filter(pl.col("is_outlier")).sort().alias("outlier_spaces"),
            pl.col("is_outlier").fill_null(False).all().alias("is_outlier_everywhere"),
            pl.col("uniqueness").filter(of_embedding).mean().round(DECIMALS).alias("uniqueness"),
        )
        .sort("plate_id")
    )
