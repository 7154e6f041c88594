"""The ledger of near-duplicates: pairs of plates that may be copies, by file, by perceptual hash and by vectors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_ledger, write_ledger
from atlas_resources.ledgers.topology.neighbours import Graph, read_graphs
from atlas_resources.ledgers.topology.spaces import COLOUR
from atlas_resources.measures.spaces.copies import groups_of, hash_distance, near_hashes
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import PLATES
from atlas_resources.tables.topology.agreement import NEAR_DUPLICATES

MOST_BITS = {"phash": 10, "dhash": 13}
"""Of 64, both. Of 38 plates, recompressed, halved, brightened, turned by a degree or cut by 3 % at each side, no copy
differed from its plate in more, and no two plates in less than 14 and 16."""
LEAST_COSINE = 0.95

Pair = tuple[str, str]


def build_near_duplicates(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`topology/near_duplicates`. Requires plates and neighbours."""
    columns = ("plate_id", "source_sha256", "ahash", "dhash", "phash", "is_current")
    plates = read_ledger(dataset, PLATES, columns).filter(pl.col("is_current").fill_null(False)).sort("plate_id")
    facts = {row["plate_id"]: row for row in plates.to_dicts()}
    graphs = read_graphs(dataset)
    by_vectors = _mutual_first({name: graph for name, graph in graphs.items() if name != COLOUR})
    names = list(facts)
    near = [near_hashes(plates[kind].to_list(), bits).tolist() for kind, bits in MOST_BITS.items()]
    by_hash = {(names[one], names[other]) for one, other in set.intersection(*(set(map(tuple, some)) for some in near))}
    pairs = sorted(by_hash | {pair for pair in by_vectors if set(pair) <= facts.keys()} | _same_files(plates))
    numbers = {plate_id: number for number, plate_id in enumerate(names)}
    indices = np.array([(numbers[one], numbers[other]) for one, other in pairs], dtype=np.int64).reshape(-1, 2)
    groups = groups_of(indices, len(names))
    found = {name: _cosines(graph, pairs) for name, graph in graphs.items()}
    rows = [
        {
            "first_plate": one,
            "second_plate": other,
            "group_number": int(groups[numbers[one]]),
            "is_same_file": facts[one]["source_sha256"] == facts[other]["source_sha256"],
            **{f"{kind}_distance": hash_distance(facts[one][kind], facts[other][kind]) for kind in
               ("phash", "dhash", "ahash")},
            "is_by_vectors": (one, other) in by_vectors,
            "cosines": [{"space": name, **near[one, other]} for name, near in found.items() if (one, other) in near],
        }
        for one, other in pairs
    ]  # fmt: skip
    return write_ledger(dataset, NEAR_DUPLICATES, NEAR_DUPLICATES.frame(rows))


def _same_files(plates: pl.DataFrame) -> set[Pair]:
    """Pairs of plates whose sources are one file."""
    twins = plates.select("plate_id", "source_sha256").join(
        plates.select(pl.col("plate_id").alias("other"), "source_sha256"), on="source_sha256"
    )
    return set(twins.filter(pl.col("plate_id") < pl.col("other")).select("plate_id", "other").iter_rows())


def _mutual_first(graphs: Mapping[str, Graph]) -> set[Pair]:
    """Pairs that are each other's nearest in every space, at LEAST_COSINE or more; none without a space."""
    found: list[set[Pair]] = []
    for graph in graphs.values():
        first, ids = graph.indices[:, 0], graph.plate_ids
        found.append(
            {
                (ids[one], ids[int(other)])
                for one, other in enumerate(first)
                if one < other and first[other] == one and graph.cosines[one, 0] >= LEAST_COSINE
            }
        )
    return set.intersection(*found) if found else set()


def _cosines(graph: Graph, pairs: list[Pair]) -> dict[Pair, dict[str, Any]]:
    """Cosine and rank of the second plate of each pair among the neighbours of the first."""
    numbers = {plate_id: number for number, plate_id in enumerate(graph.plate_ids)}
    found = {}
    for one, other in pairs:
        if one in numbers and other in numbers:
            (places,) = np.nonzero(graph.indices[numbers[one]] == numbers[other])
            if len(places):
                cosine = float(graph.cosines[numbers[one], places[0]])
                found[one, other] = {"cosine": cosine, "rank": int(places[0]) + 1}
    return found
