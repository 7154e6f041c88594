"""The ledger of coordinates: each space as points of a plane, to draw it."""

import json
import logging
from typing import Any

import numpy as np
import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_as_built, write_ledger
from atlas_resources.ledgers.topology.neighbours import Graph, graph_of, read_graphs
from atlas_resources.ledgers.topology.spaces import (
    DECIMALS,
    Space,
    joint_inputs,
    present_inputs_and_plates,
    read_spaces,
)
from atlas_resources.measures.spaces.coordinates import (
    by_principal_components,
    by_umap,
    pca_parameters,
    umap_parameters,
)
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.topology.coordinates import COORDINATES, LEAST_PLATES_OF_UMAP

LOG = logging.getLogger(__name__)
PARAMETERS = {"pca": pca_parameters, "umap": umap_parameters}


def _parameters(method: str) -> str:
    return json.dumps(PARAMETERS[method](), sort_keys=True)


def expected_coordinates(dataset: Dataset, registry: Registry) -> dict[tuple[str, str], str]:
    """The digest of what the rows of each space and method are made of. Reads no vectors."""
    expected = {}
    for name, (inputs, plates) in present_inputs_and_plates(dataset, registry).items():
        for method in PARAMETERS if plates >= LEAST_PLATES_OF_UMAP else ("pca",):
            expected[name, method] = joint_inputs(inputs, _parameters(method))
    return expected


def build_coordinates(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`topology/coordinates`. Rows of a space and method that have not changed are kept. Requires neighbours."""
    expected = expected_coordinates(dataset, registry)
    kept = read_as_built(dataset, COORDINATES).filter(pl.col("inputs_sha256").is_in(list(expected.values())))
    known = set(kept["inputs_sha256"])
    missing = {key: digest for key, digest in expected.items() if digest not in known}
    frames = []
    if missing:
        spaces, graphs = {space.name: space for space in read_spaces(dataset, registry)}, read_graphs(dataset)
        for (name, method), digest in missing.items():
            frames.append(_rows(spaces[name], graphs, method, digest))
    return write_ledger(dataset, COORDINATES, pl.concat([kept, *frames]))


def _rows(space: Space, graphs: dict[str, Graph], method: str, digest: str) -> pl.DataFrame:
    share = float("nan")
    if method == "pca":
        points, share = by_principal_components(space.unit)
    else:
        LOG.info(f"{space.name}: drawing a map of {len(space.plate_ids)} plates by UMAP")
        graph = graph_of(space, graphs)
        points = by_umap(space.unit, graph.indices, graph.cosines)
    count = len(points)
    columns: dict[str, Any] = {
        "plate_id": list(space.plate_ids),
        "x": points[:, 0],
        "y": points[:, 1],
        "space": pl.repeat(space.name, count, eager=True),
        "method": pl.repeat(method, count, eager=True),
        "explained_ratio": pl.repeat(None if np.isnan(share) else round(share, DECIMALS), count, eager=True),
        "parameters": pl.repeat(_parameters(method), count, eager=True),
        "inputs_sha256": pl.repeat(digest, count, eager=True),
    }
    return COORDINATES.conform(pl.DataFrame(columns))
