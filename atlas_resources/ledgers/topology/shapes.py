"""The ledgers of single spaces: each plate's place in a space, and the shape of the space."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_as_built, write_ledger
from atlas_resources.ledgers.topology.neighbours import Graph, graph_of, read_graphs
from atlas_resources.ledgers.topology.spaces import DECIMALS, Space, present_inputs, read_spaces
from atlas_resources.measures.spaces.structure import (
    LEFT_OUT,
    MANY,
    RESAMPLES_OF_MANY,
    clusters_of_resamples,
    find_clusters,
    intrinsic_dimension,
    local_outlier_factors,
)
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.table import Table
from atlas_resources.tables.topology.spaces import PLATE_SPACES, SPACES

LOG = logging.getLogger(__name__)
OUTLIER_FACTOR = 1.5
"""A plate whose surroundings are half as dense again as its own is by itself; within a group, factors are near 1."""


def build_plate_spaces(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`topology/plate_spaces`. Spaces that have not changed are kept. Requires neighbours, embeddings, histograms."""
    kept, changed = _kept_and_changed(dataset, registry, PLATE_SPACES)
    made = [row for space, graph in changed for row in _plates_of(space, graph)]
    return write_ledger(dataset, PLATE_SPACES, pl.concat([kept, PLATE_SPACES.frame(made)]))


def build_spaces(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`topology/spaces`. Spaces that have not changed are kept. Requires what `build_plate_spaces` does, and its rows.

    Plates are placed here where `plate_spaces` is behind; its file is its own builder's to write.
    """
    kept, changed = _kept_and_changed(dataset, registry, SPACES)
    placed = read_as_built(dataset, PLATE_SPACES) if changed else PLATE_SPACES.empty
    made = []
    for space, graph in changed:
        own = placed.filter(inputs_sha256=space.inputs_sha256).sort("plate_id")
        own = own if own.height else PLATE_SPACES.frame(_plates_of(space, graph))
        made.append(_shape_of(space, graph, own, registry))
    return write_ledger(dataset, SPACES, pl.concat([kept, SPACES.frame(made)]))


def _kept_and_changed(
    dataset: Dataset, registry: Registry, table: Table
) -> tuple[pl.DataFrame, list[tuple[Space, Graph | None]]]:
    """The rows of a table that are of present spaces, and the spaces without any, each with its graph if it has one."""
    present = set(present_inputs(dataset, registry).values())
    kept = read_as_built(dataset, table).filter(pl.col("inputs_sha256").is_in(list(present)))
    known = set(kept["inputs_sha256"])
    if known == present:
        return kept, []
    graphs = read_graphs(dataset)
    spaces = [space for space in read_spaces(dataset, registry) if space.inputs_sha256 not in known]
    return kept, [(space, graph_of(space, graphs) if len(space.plate_ids) > 1 else None) for space in spaces]


def _cosines_to_others(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of each row's cosines to all other rows.

    By the matrix [N, N] of cosines where it is the smaller one, or by [dim, dim]: of many dimensions, such as those of
    colour, that one takes most of a small library's refresh.
    """
    count, dim = unit.shape
    others = count - 1
    if count < dim:
        cosines = (unit @ unit.T)[~np.eye(count, dtype=bool)].reshape(count, others)
        return cosines.mean(axis=1), cosines.std(axis=1)
    mean = (unit @ unit.sum(axis=0) - 1) / others
    squares = (np.einsum("nd,nd->n", unit @ (unit.T @ unit), unit) - 1) / others
    return mean, np.sqrt(np.maximum(0, squares - mean**2))


def _plates_of(space: Space, graph: Graph | None) -> list[dict[str, Any]]:
    """The rows of `plate_spaces`. A space of one plate has no graph."""
    if len(space.plate_ids) > MANY:
        LOG.info(f"{space.name}: finding clusters among {len(space.plate_ids)} plates")
    clusters = find_clusters(space.unit)
    rows: list[dict[str, Any]] = [
        {
            "space": space.name,
            "plate_id": plate_id,
            "run_id": space.run_ids[number] if space.run_ids else None,
            "cluster": None if clusters.labels[number] == LEFT_OUT else int(clusters.labels[number]),
            "cluster_probability": round(float(clusters.probabilities[number]), DECIMALS),
            "is_exemplar": number in clusters.exemplars,
            "inputs_sha256": space.inputs_sha256,
        }
        for number, plate_id in enumerate(space.plate_ids)
    ]
    if graph is None:
        return rows
    nearest_cosines = graph.cosines[:, 0]
    measures = {
        "nearest_cosine": nearest_cosines,
        "uniqueness": (nearest_cosines[:, None] < nearest_cosines).mean(axis=1),
        "outlier_factor": _outlier_factors(graph),
        **dict(zip(("mean_cosine", "std_cosine"), _cosines_to_others(space.unit), strict=True)),
    }
    for number, row in enumerate(rows):
        row |= {name: round(float(values[number]), DECIMALS) for name, values in measures.items()}
        row["is_outlier"] = row["outlier_factor"] > OUTLIER_FACTOR
    return rows


def _outlier_factors(graph: Graph) -> np.ndarray:
    """Over at most a quarter of the plates: of a small library, all neighbours would be the same for every plate."""
    k = max(2, min(graph.indices.shape[1], len(graph.plate_ids) // 4))
    return local_outlier_factors(graph.indices[:, :k], graph.cosines[:, :k])


def _shape_of(space: Space, graph: Graph | None, own: pl.DataFrame, registry: Registry) -> dict[str, Any]:
    """The row of `spaces`, given the space's rows of `plate_spaces`, sorted by plate."""
    identity = registry.instruments[space.name].identity if space.is_embedding else None
    dimension = intrinsic_dimension(graph.cosines) if graph else float("nan")
    labels = own["cluster"].fill_null(LEFT_OUT).to_numpy()
    stability = np.array([*_stability_of(space, labels)] or [np.nan])
    return {
        "space": space.name,
        "kind": "embedding" if space.is_embedding else "colour",
        "fingerprint": identity and identity.fingerprint,
        "plate_count": own.height,
        "vector_dim": space.unit.shape[1],
        "mean_cosine": _known(np.mean(own["mean_cosine"].to_numpy()) if graph else float("nan")),
        "intrinsic_dimension": _known(dimension),
        "cluster_count": int(labels.max()) + 1,
        "clustered_ratio": float(np.mean(labels != LEFT_OUT)),
        "cluster_stability": _known(stability.mean()),
        "cluster_stability_low": _known(stability.min()),
        "cluster_stability_high": _known(stability.max()),
        "outlier_count": own["is_outlier"].sum(),
        "licence": identity and identity.licence,
        "commercial_use": identity.commercial_use if identity else "yes",
        "inputs_sha256": space.inputs_sha256,
    }


def _stability_of(space: Space, labels: np.ndarray) -> Iterator[float]:
    """The indices of `clusters_of_resamples`, with a line about each where it takes long."""
    for number, index in enumerate(clusters_of_resamples(space.unit, labels), start=1):
        if len(labels) > MANY:
            LOG.info(f"{space.name}: clusters of resample {number} of {RESAMPLES_OF_MANY} found")
        yield index


def _known(value: float | np.floating) -> float | None:
    """The value rounded; None for NaN."""
    return None if np.isnan(value) else round(float(value), DECIMALS)
