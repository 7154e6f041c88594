"""nearest and histogram_nearest read the stored neighbours where they are of the present vectors, with equal rows."""

import duckdb
import numpy as np
import pytest
from support.made_catalogue import made_catalogue, vector_row
from support.made_spaces import plate_names

from atlas_resources.ledgers.topology.neighbours import MOST_NEIGHBOURS
from atlas_resources.ledgers.topology.spaces import COLOUR, inputs_of
from atlas_resources.measures.spaces.neighbour_graphs import nearest, unit_rows
from atlas_resources.tables.ledgers import HISTOGRAMS
from atlas_resources.tables.results import INSTRUMENT_TABLES

NAMES = plate_names(40)
DRAWN = np.random.default_rng(6).normal(size=(40, 5)).round(3)
VECTORS = np.concatenate([DRAWN[:8], DRAWN[:1].repeat(28, axis=0), DRAWN[8:12]])
"""Twenty-eight are copies of the first: more than a graph keeps of each plate."""
COLOURS = np.random.default_rng(7).integers(1, 50, size=(40, 6))
LOOKED_AT = ("plate-001", "plate-005", "plate-020", "plate-040")


def graph_rows(space: str, vectors: np.ndarray, inputs: str, shift: float = 0.0) -> list[dict]:
    indices, cosines = nearest(unit_rows(vectors), MOST_NEIGHBOURS)
    return [
        {
            "space": space,
            "plate_id": NAMES[plate],
            "neighbour_id": NAMES[other],
            "rank": rank,
            "cosine": cosine - shift,
            "inputs_sha256": inputs,
        }
        for plate in range(len(vectors))
        for rank, (other, cosine) in enumerate(zip(indices[plate], cosines[plate], strict=True), start=1)
    ]


def made(shift: float = 0.0, newer_runs: tuple[str, ...] = (), is_colour_behind: bool = False):
    """A catalogue whose graphs have cosines that are off by `shift`, and plates that have newer runs than the graph."""
    rows = [vector_row(name, vector, run_id=f"run-{name}") for name, vector in zip(NAMES, VECTORS, strict=True)]
    colours = [
        {"plate_id": name, "pixel_count": int(lab.sum()), "lab": lab.tolist(), "file_sha256": name, "is_current": True}
        for name, lab in zip(NAMES, COLOURS, strict=True)
    ]
    inputs = inputs_of("embedder", INSTRUMENT_TABLES["embedding"].frame(rows).select("plate_id", "run_id"))
    of_colour = inputs_of(COLOUR, HISTOGRAMS.frame(colours).select("plate_id", "file_sha256"))
    for row in rows:
        row["run_id"] += "-newer" * (row["plate_id"] in newer_runs)
    return made_catalogue(
        plates=[{"plate_id": name, "title": f"Title of {name}"} for name in NAMES],
        embeddings=rows,
        histograms=colours,
        models=[{"instrument": "embedder"}],
        neighbours=[
            *graph_rows("embedder", VECTORS, inputs, shift),
            *graph_rows(COLOUR, np.sqrt(COLOURS), "other" if is_colour_behind else of_colour, shift),
        ],
    )


@pytest.fixture(scope="module")
def stored():
    with made() as connection:
        yield connection


@pytest.fixture(scope="module")
def behind():
    with made(newer_runs=("plate-003",), is_colour_behind=True) as connection:
        yield connection


def largest_cosine(connection: duckdb.DuckDBPyConnection, k: int) -> float:
    return connection.sql(f"SELECT max(cosine) FROM nearest('plate-001', 'embedder', {k})").fetchall()[0][0]


def current(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [space for (space,) in connection.execute("FROM current_graphs").fetchall()]


def test_a_graph_is_current_while_its_space_is_made_of_the_same(stored, behind):
    assert current(stored) == [COLOUR, "embedder"]
    assert current(behind) == []


@pytest.mark.parametrize("call", ["nearest('{}', 'embedder', {})", "histogram_nearest('{}', {})"])
@pytest.mark.parametrize("plate_id", LOOKED_AT)
@pytest.mark.parametrize("k", [1, 7, MOST_NEIGHBOURS, MOST_NEIGHBOURS + 1, 100])
def test_rows_and_the_order_of_copies_are_those_of_comparing_all(stored, behind, call, plate_id, k):
    found, expected = (
        connection.execute(f"FROM {call.format(plate_id, k)}").fetchall() for connection in (stored, behind)
    )
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in expected], abs=1e-7)
    assert len(found) == min(k, 39)


def test_the_graph_is_read_up_to_its_length_and_only_where_it_is_current():
    """Cosines of these graphs are 2 too small, so that it is seen which are read."""
    with made(shift=2) as connection:
        assert largest_cosine(connection, MOST_NEIGHBOURS) == pytest.approx(-1)
        assert largest_cosine(connection, MOST_NEIGHBOURS + 1) == pytest.approx(1)
    with made(shift=2, newer_runs=("plate-040",)) as connection:
        assert largest_cosine(connection, MOST_NEIGHBOURS) == pytest.approx(1)


def test_arguments_may_come_from_another_table(stored, behind):
    query = (
        "SELECT p.plate_id, n.plate_id FROM plates AS p, nearest(p.plate_id, 'embedder', 2) AS n "
        "ORDER BY p.plate_id, cosine DESC, n.plate_id"
    )
    found = stored.execute(query).fetchall()
    assert len(found) == 80
    assert found == behind.execute(query).fetchall()
