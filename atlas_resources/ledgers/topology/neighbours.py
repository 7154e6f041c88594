"""The ledger of nearest neighbours, and reading graphs back from it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.growth.distinct import read_distinct
from atlas_resources.ledgers.parquet import read_as_built, read_ledger, write_ledger
from atlas_resources.ledgers.topology.spaces import COLOUR, Space, joint_inputs, present_inputs, read_spaces
from atlas_resources.measures.spaces.neighbour_graphs import is_mutual, nearest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.topology.spaces import NEIGHBOURS, PLATE_SPACES

MOST_NEIGHBOURS = 20


@dataclass(frozen=True)
class Graph:
    """The graph of a space as the ledger has it.

    Attributes:
        plate_ids: sorted.
        indices: int64 [plates, k], neighbours as indices of `plate_ids`, the nearest first.
        cosines: float64 [plates, k].
        inputs_sha256: of the space.
    """

    plate_ids: tuple[str, ...]
    indices: np.ndarray
    cosines: np.ndarray
    inputs_sha256: str


def build_neighbours(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`topology/neighbours`. Rows of spaces that have not changed are kept. Requires embeddings and histograms."""
    present = present_inputs(dataset, registry)
    kept = read_as_built(dataset, NEIGHBOURS).filter(pl.col("inputs_sha256").is_in(list(present.values())))
    if set(kept["inputs_sha256"].unique()) == set(present.values()):
        return write_ledger(dataset, NEIGHBOURS, kept)
    known = set(kept["inputs_sha256"])
    frames = [_rows(space) for space in read_spaces(dataset, registry) if space.inputs_sha256 not in known]
    return write_ledger(dataset, NEIGHBOURS, pl.concat([kept, *frames]))


def _rows(space: Space) -> pl.DataFrame:
    indices, cosines = nearest(space.unit, MOST_NEIGHBOURS)
    count, k = indices.shape
    plate_ids = np.array(space.plate_ids, dtype=object)
    columns = {
        "space": pl.repeat(space.name, count * k, eager=True),
        "plate_id": plate_ids.repeat(k).tolist(),
        "neighbour_id": plate_ids[indices.ravel()].tolist(),
        "rank": np.tile(np.arange(1, k + 1), count),
        "cosine": cosines.ravel(),
        "is_mutual": is_mutual(indices).ravel(),
        "inputs_sha256": pl.repeat(space.inputs_sha256, count * k, eager=True),
    }
    return NEIGHBOURS.conform(pl.DataFrame(columns))


def graph_of(space: Space, graphs: Mapping[str, Graph]) -> Graph:
    """The graph of a space's vectors: the stored one, or found anew where that is of other vectors.

    Args:
        space: the vectors.
        graphs: as `read_graphs` returns them.
    """
    graph = graphs.get(space.name)
    if graph is not None and graph.inputs_sha256 == space.inputs_sha256:
        return graph
    return Graph(space.plate_ids, *nearest(space.unit, MOST_NEIGHBOURS), space.inputs_sha256)


def graph_inputs(dataset: Dataset) -> dict[str, str]:
    """The `inputs_sha256` of the stored graph of each embedding space, by its name. Reads what changed."""
    rows = read_distinct(dataset, NEIGHBOURS, ("space", "inputs_sha256"))
    return dict(rows.filter(pl.col("space") != COLOUR).sort("space").iter_rows())


def plate_agreement_inputs(dataset: Dataset) -> str:
    """sha256 over what `plate_agreement` is made of, as stored."""
    placed = read_distinct(dataset, PLATE_SPACES, ("inputs_sha256",))["inputs_sha256"]
    return joint_inputs(*sorted({*placed, *graph_inputs(dataset).values()}))


def additions_inputs(dataset: Dataset) -> str:
    """sha256 over the stored graphs of which `additions` is made."""
    return joint_inputs(*graph_inputs(dataset).values())


def read_graphs(dataset: Dataset) -> dict[str, Graph]:
    """The graph of each space with at least two plates, by its name."""
    found = {}
    for (name,), rows in read_ledger(dataset, NEIGHBOURS).partition_by("space", as_dict=True).items():
        plate_ids = tuple(rows["plate_id"].unique().sort())
        numbers = {plate_id: number for number, plate_id in enumerate(plate_ids)}
        k = rows.height // len(plate_ids)
        ordered = rows.sort("plate_id", "rank")
        indices = ordered["neighbour_id"].replace_strict(numbers, return_dtype=pl.Int64).to_numpy().reshape(-1, k)
        cosines = ordered["cosine"].to_numpy().reshape(-1, k)
        found[str(name)] = Graph(plate_ids, indices, cosines, ordered["inputs_sha256"][0])
    return found
