"""The ledger of additions: what each embedding instrument changes in the neighbours that all of them give together."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_as_built, read_runs_of, write_ledger
from atlas_resources.ledgers.topology.neighbours import Graph, additions_inputs, read_graphs
from atlas_resources.ledgers.topology.spaces import DECIMALS
from atlas_resources.measures.spaces.chance import bootstrap_of_mean
from atlas_resources.measures.spaces.fusion import change
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.table import IS_CURRENT
from atlas_resources.tables.topology.agreement import ADDITIONS

FUSED = 10
"""Neighbours that are compared."""
THRESHOLD = 0.05
"""An instrument that changes less, at the upper end of its interval, is not worth its time."""


def build_additions(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`topology/additions`, over the plates that every embedding space has. Requires neighbours, and embedding runs."""
    digest, read = additions_inputs(dataset), read_graphs(dataset)
    kept = read_as_built(dataset, ADDITIONS)
    if kept.height and kept["inputs_sha256"].eq(digest).all():
        return write_ledger(dataset, ADDITIONS, kept)
    runs = read_runs_of(dataset, "embedding").filter(IS_CURRENT.name, pl.col("instrument").is_in(list(read)))
    order = list(
        runs.group_by("instrument").agg(pl.col("sealed_at").min()).sort("sealed_at", "instrument")["instrument"]
    )
    seconds = dict(runs.group_by("instrument").agg(pl.col("compute_seconds").median()).iter_rows())
    graphs = _common({name: graph for name, graph in read.items() if name in order})
    order = [name for name in order if name in graphs]
    rows = [{**row, "inputs_sha256": digest} for row in _changes(order, graphs, seconds)]
    return write_ledger(dataset, ADDITIONS, ADDITIONS.frame(rows))


def _common(graphs: Mapping[str, Graph]) -> dict[str, np.ndarray]:
    """Each graph among the plates that all have, as int64 [plates, k], k as small as the fewest neighbours left.

    Empty if no plate is in all, or none has a neighbour left.
    """
    if not graphs:
        return {}
    common = sorted(set.intersection(*(set(graph.plate_ids) for graph in graphs.values())))
    numbers = {plate_id: number for number, plate_id in enumerate(common)}
    kept: dict[str, list[list[int]]] = {}
    for name, graph in graphs.items():
        rows = {graph.plate_ids[number]: row for number, row in enumerate(graph.indices.tolist())}
        near = [[graph.plate_ids[one] for one in rows[plate_id]] for plate_id in common]
        kept[name] = [[numbers[one] for one in row if one in numbers] for row in near]
    fewest = min((len(row) for rows in kept.values() for row in rows), default=0)
    if fewest == 0:
        return {}
    return {name: np.array([row[:fewest] for row in rows], dtype=np.int64) for name, rows in kept.items()}


def _changes(
    order: Sequence[str], graphs: Mapping[str, np.ndarray], seconds: Mapping[str, float | None]
) -> Iterator[dict[str, Any]]:
    """A row for each instrument in order of adding, then one for each that is left out."""
    was_below = False
    for position, name in enumerate(order, start=1):
        before, after = [graphs[one] for one in order[: position - 1]], [graphs[one] for one in order[:position]]
        row = _row(name, before, after, seconds.get(name))
        is_below = bool(row.get("is_below_threshold"))
        yield {"kind": "in_order", "position": position, **row, "is_stop": is_below and was_below}
        was_below = is_below
    for name in sorted(order) if len(order) > 1 else ():
        others = [graphs[one] for one in order if one != name]
        yield {"kind": "left_out", **_row(name, others, [graphs[one] for one in order], seconds.get(name))}


def _row(name: str, before: Sequence[np.ndarray], after: Sequence[np.ndarray], seconds: float | None) -> dict[str, Any]:
    common = {"instrument": name, "plate_count": len(after[0]), "seconds_per_plate": seconds}
    if not before:
        return common
    changed = change(before, after, min(FUSED, after[0].shape[1]))
    low, high = bootstrap_of_mean(changed)
    mean = float(changed.mean())
    return {
        **common,
        "changed_ratio": round(mean, DECIMALS),
        "low": round(low, DECIMALS),
        "high": round(high, DECIMALS),
        "changed_ratio_per_second": mean / seconds if seconds else None,
        "is_below_threshold": high < THRESHOLD,
    }
