"""The ledgers of single spaces: each plate's place in a space, and the shape of the space."""

from typing import Any

import numpy as np
import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_as_built, read_ledger, write_ledger
from atlas_resources.ledgers.topology.neighbours import Graph, read_graphs
from atlas_resources.ledgers.topology.spaces import DECIMALS, Space, present_inputs, read_spaces
from atlas_resources.measures.spaces.structure import (
    LEFT_OUT,
    Clusters,
    find_clusters,
    intrinsic_dimension,
    local_outlier_factors,
)
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.topology.spaces import PLATE_SPACES, SPACES

OUTLIER_FACTOR = 1.5
"""A plate whose surroundings are half as dense again as its own is by itself; within a group, factors are near 1."""


def build_spaces(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`topology/spaces` and `topology/plate_spaces`; returns the first. Requires neighbours, embeddings and histograms.

    Spaces that have not changed are kept.
    """
    present = present_inputs(dataset, registry)
    kept, kept_plates = (
        read_as_built(dataset, table).filter(pl.col("inputs_sha256").is_in(list(present.values())))
        for table in (SPACES, PLATE_SPACES)
    )
    known = set(kept["inputs_sha256"]) & set(kept_plates["inputs_sha256"])
    made, made_plates = [], []
    if known != set(present.values()):
        graphs = read_graphs(dataset)
        for space in read_spaces(dataset, registry):
            if space.inputs_sha256 not in known:
                clusters = find_clusters(space.unit)
                made_plates += _plates_of(space, graphs.get(space.name), clusters)
                made.append(_shape_of(space, graphs.get(space.name), clusters, made_plates, registry))
    of_known = pl.col("inputs_sha256").is_in(list(known))
    write_ledger(dataset, PLATE_SPACES, pl.concat([kept_plates.filter(of_known), PLATE_SPACES.frame(made_plates)]))
    return write_ledger(dataset, SPACES, pl.concat([kept.filter(of_known), SPACES.frame(made)]))


def build_plate_spaces(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`topology/plate_spaces`, as `build_spaces` makes it."""
    build_spaces(dataset, registry)
    return read_ledger(dataset, PLATE_SPACES)


def _cosines_to_others(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of each row's cosines to all other rows, without the [N, N] matrix."""
    others = len(unit) - 1
    mean = (unit @ unit.sum(axis=0) - 1) / others
    squares = (np.einsum("nd,nd->n", unit @ (unit.T @ unit), unit) - 1) / others
    return mean, np.sqrt(np.maximum(0, squares - mean**2))


def _plates_of(space: Space, graph: Graph | None, clusters: Clusters) -> list[dict[str, Any]]:
    """The rows of `plate_spaces`. A space of one plate has no graph."""
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


def _shape_of(
    space: Space, graph: Graph | None, clusters: Clusters, plates: list[dict[str, Any]], registry: Registry
) -> dict[str, Any]:
    identity = registry.instruments[space.name].identity if space.is_embedding else None
    own = [row for row in plates if row["space"] == space.name]
    dimension = intrinsic_dimension(graph.cosines) if graph else float("nan")
    return {
        "space": space.name,
        "kind": "embedding" if space.is_embedding else "colour",
        "fingerprint": identity and identity.fingerprint,
        "plate_count": len(own),
        "vector_dim": space.unit.shape[1],
        "mean_cosine": _known(np.mean([row["mean_cosine"] for row in own]) if graph else float("nan")),
        "intrinsic_dimension": _known(dimension),
        "cluster_count": len(clusters.exemplars),
        "clustered_ratio": float(np.mean(clusters.labels != LEFT_OUT)),
        "cluster_stability": _known(clusters.stability),
        "cluster_stability_low": _known(clusters.stability_low),
        "cluster_stability_high": _known(clusters.stability_high),
        "outlier_count": sum(bool(row.get("is_outlier")) for row in own),
        "licence": identity and identity.licence,
        "commercial_use": identity.commercial_use if identity else "yes",
        "inputs_sha256": space.inputs_sha256,
    }


def _known(value: float | np.floating) -> float | None:
    """The value rounded; None for NaN."""
    return None if np.isnan(value) else round(float(value), DECIMALS)
