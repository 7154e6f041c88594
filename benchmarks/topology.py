"""What the neighbours of 10,000 plates cost, beside the products alone, and how long SQL takes over their ledgers.

    python -m benchmarks.topology [--plates 10000] [--dim 1024] [--repeats 5]

The floor is the float32 product of all vectors with each other and the selection of the largest, in the same blocks and
process, in turn; seconds are of the processor. Vectors are drawn. The SQL is asked of a catalogue in memory with the
rows of two encoders and of colour, and vectors of one of them; its times are of the clock and of the processor. Beyond
20 neighbours, `nearest` compares all vectors. Then what the clusters and the maps of one space take, once each.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping

import duckdb
import numpy as np
import polars as pl

from atlas_resources.catalogue.build import empty_catalogue
from atlas_resources.catalogue.macros.current_graphs import CURRENT_GRAPHS
from atlas_resources.instruments.registry import read_registry
from atlas_resources.ledgers.topology.neighbours import MOST_NEIGHBOURS
from atlas_resources.ledgers.topology.spaces import inputs_of
from atlas_resources.measures.spaces.coordinates import by_principal_components, by_umap
from atlas_resources.measures.spaces.neighbour_graphs import BLOCK_ROWS, nearest, unit_rows
from atlas_resources.measures.spaces.structure import clusters_of_resamples, find_clusters
from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from benchmarks.figures import Figure, in_turn

SPACES = {"first": "embedding", "second": "embedding", "colour_histogram": "colour"}
QUERIES = (
    "FROM ensemble_nearest('plate-00042', 10)",
    "FROM duplicates()",
    "FROM outliers()",
    "FROM clusters('first')",
    "FROM agreement",
    "FROM nearest('plate-00042', 'first', 20)",
    "FROM nearest('plate-00042', 'first', 21)",
)


def floor(unit: np.ndarray) -> None:
    """The products of all rows, and the selection of the largest of each."""
    narrow = unit.astype(np.float32)
    for start in range(0, len(narrow), BLOCK_ROWS):
        np.argpartition(narrow[start : start + BLOCK_ROWS] @ narrow.T, -MOST_NEIGHBOURS, axis=1)


def embeddings(unit: np.ndarray, names: np.ndarray) -> pl.DataFrame:
    """Current vectors of the first encoder."""
    table = INSTRUMENT_TABLES["embedding"]
    vectors = pl.Series("vector", unit.astype(np.float32)).arr.to_list()
    facts = {"instrument": "first", "scope": "plate", "is_current": True, "l2_norm": 1.0, "vector_dim": unit.shape[1]}
    named = {"plate_id": names.tolist(), "run_id": [f"run-of-{name}" for name in names]}
    given = pl.DataFrame({**named, "vector": vectors}).with_columns(**{key: pl.lit(one) for key, one in facts.items()})
    return pl.concat(
        [table.schema.to_frame(), given.cast({key: table.schema[key] for key in given.columns})], how="diagonal"
    )


def ledgers(unit: np.ndarray) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rows of the ledgers that the queries read, by name: drawn neighbours, ten clusters, one outlier in a hundred."""
    count = len(unit)
    names = np.array([f"plate-{number:05d}" for number in range(count)], dtype=object)
    vectors = embeddings(unit, names)
    yield "embeddings", vectors
    inputs = inputs_of("first", vectors.select("plate_id", "run_id"))
    drawing = np.random.default_rng(0)
    yield "plates", pl.DataFrame({"plate_id": names.tolist(), "title": names.tolist()})
    yield "spaces", pl.DataFrame({"space": list(SPACES), "kind": list(SPACES.values())})
    for space in SPACES:
        near = drawing.integers(0, count, count * MOST_NEIGHBOURS)
        rank = np.tile(np.arange(1, MOST_NEIGHBOURS + 1), count)
        of_plate = {"space": space, "plate_id": names.repeat(MOST_NEIGHBOURS).tolist()}
        cosine = 1 - rank / 100
        yield (
            "neighbours",
            pl.DataFrame(
                {
                    **of_plate,
                    "neighbour_id": names[near].tolist(),
                    "rank": rank,
                    "cosine": cosine,
                    "inputs_sha256": inputs,
                }
            ),
        )
        number = np.arange(count)
        placed = {"mean_cosine": 0.5, "std_cosine": 0.1, "is_exemplar": number < 10, "cluster": number % 10}
        alone = {"is_outlier": number % 100 == 0, "outlier_factor": 1 + drawing.random(count)}
        yield "plate_spaces", pl.DataFrame({"space": space, "plate_id": names.tolist(), **placed, **alone})
    yield "plate_agreement", pl.DataFrame({"plate_id": names.tolist(), "is_outlier_everywhere": False})
    pairs = {"first_plate": names[:100].tolist(), "second_plate": names[100:200].tolist()}
    yield "near_duplicates", pl.DataFrame({**pairs, "group_number": np.arange(100)})
    yield "agreement", pl.DataFrame({"first_space": "first", "second_space": "second", "measure": ["cka"]})


def filled(unit: np.ndarray) -> duckdb.DuckDBPyConnection:
    """A catalogue in memory with these rows; every other column is null."""
    connection = empty_catalogue(read_registry())
    for name, rows in ledgers(unit):
        schema = LEDGERS[name].schema
        cast = rows.cast({column: schema[column] for column in rows.columns})
        whole = pl.concat([schema.to_frame(), cast], how="diagonal")
        connection.register("given", whole.to_arrow())
        connection.execute(f"INSERT INTO {name} FROM given")
        connection.unregister("given")
    connection.execute(f"INSERT INTO {CURRENT_GRAPHS.name} {CURRENT_GRAPHS.sql}")
    return connection


def seconds_of(what: Callable[[], object], clock: Callable[[], float], repeats: int) -> list[float]:
    """The seconds of each repetition."""
    found = []
    for _ in range(repeats):
        started = clock()
        what()
        found.append(clock() - started)
    return found


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures, at 10,000 plates and, of SQL alone, at 100,000."""
    unit = unit_rows(np.random.default_rng(0).normal(size=(10_000, 1024)))
    what, beside = "20 neighbours of each of 10,000 plates", "products and selection alone"
    seconds = in_turn({what: lambda: nearest(unit, MOST_NEIGHBOURS), beside: lambda: floor(unit)})
    yield Figure(subject, what, seconds[what], "s", beside, seconds[beside], goal=1.5)
    yield from _asked(subject, unit, {query: 50 for query in QUERIES[:5]} | {query: 25 for query in QUERIES[5:]})
    large = unit_rows(np.random.default_rng(0).normal(size=(100_000, 1024)).astype(np.float32))
    yield from _asked(subject, large, {QUERIES[5]: 25, QUERIES[6]: None})


def _asked(subject: str, unit: np.ndarray, queries: Mapping[str, float | None]) -> Iterator[Figure]:
    """A figure for each query: milliseconds beside its goal or, without one, one pass of NumPy over the vectors."""
    narrow = unit.astype(np.float32)
    with filled(unit) as connection:
        for query, goal in queries.items():
            ask: Callable[[], object] = lambda asked=query: connection.execute(asked).fetchall()  # noqa: E731 - a query of its own in each turn
            name = f"{len(unit):,} plates: `{query}`"
            passed = "one pass of NumPy over the vectors"
            seconds = in_turn({name: ask} | ({passed: lambda: narrow @ narrow[41]} if goal is None else {}))
            found = tuple(1000 * one for one in seconds[name])
            if goal is not None:
                why = "beyond the stored neighbours all vectors are compared" if query == QUERIES[6] else ""
                yield Figure(subject, name, found, "ms", goal=goal, why=why)
            else:
                why = "DuckDB compares in double precision; arrays of one length are no faster (docs/benchmarks.md)"
                passes = tuple(1000 * one for one in seconds[passed])
                yield Figure(subject, name, found, "ms", passed, passes, goal=2.0, why=why)


def main() -> None:
    """Prints both times and their ratio, then a line for each query."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plates", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    unit = unit_rows(np.random.default_rng(0).normal(size=(options.plates, options.dim)))
    both: dict[str, list[float]] = {"floor": [], "nearest": []}
    for _ in range(options.repeats):
        both["floor"] += seconds_of(lambda: floor(unit), time.process_time, 1)
        both["nearest"] += seconds_of(lambda: nearest(unit, MOST_NEIGHBOURS), time.process_time, 1)
    for name, found in both.items():
        print(f"{name}: {min(found):.2f} / {statistics.median(found):.2f} / {max(found):.2f} s (min, median, max)")
    ratio = statistics.median(both["nearest"]) / statistics.median(both["floor"])
    print(f"{options.plates} x {options.dim}: {ratio:.2f} times the floor")
    with filled(unit) as connection:
        for query in QUERIES:
            ask: Callable[[], object] = lambda asked=query: connection.execute(asked).fetchall()  # noqa: E731 - a query of its own in each turn
            found = seconds_of(ask, time.perf_counter, 9)
            used = statistics.median(seconds_of(ask, time.process_time, 9))
            clock = f"{1000 * statistics.median(found):.1f} ms, at most {1000 * max(found):.1f} ms"
            print(f"{query}: {clock}; {1000 * used:.1f} ms of the processor")
    graph = nearest(unit, MOST_NEIGHBOURS)
    once: dict[str, Callable[[], object]] = {
        "clusters": lambda: find_clusters(unit),
        "clusters of resamples": lambda: list(clusters_of_resamples(unit, np.zeros(len(unit), dtype=np.int64))),
        "map by principal components": lambda: by_principal_components(unit),
        "map by UMAP, compiled for the first time": lambda: by_umap(unit, *graph),
        "map by UMAP, again": lambda: by_umap(unit, *graph),
    }
    for name, what in once.items():
        print(f"{name}: {seconds_of(what, time.process_time, 1)[0]:.1f} s of the processor")


if __name__ == "__main__":
    main()
