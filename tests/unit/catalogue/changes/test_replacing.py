"""A catalogue takes over the rows of plates that changed, and is built whole where anything else differs."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_results import GivenVectors, measure, measure_groundwork

from atlas_resources.catalogue import build
from atlas_resources.catalogue.build import build_catalogue, connect, differing_tables
from atlas_resources.catalogue.changes.built_from import NAME
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.builders import BUILDERS
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS
from atlas_resources.ledgers.parquet import write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import TOPOLOGY

VECTORS = GivenVectors({f"plate-00{number}": (float(number), 1.0, 0.0) for number in range(1, 6)})


@pytest.fixture
def registry(fakes) -> Registry:
    return fake_registry(fake_spec(EMBEDDER))


def build_without_topology(dataset: Dataset, registry: Registry) -> None:
    empty = {table.name for table in TOPOLOGY}
    for table in TOPOLOGY:
        write_ledger(dataset, table, table.frame([]))
    for name, build_ledger in BUILDERS.items():
        if name not in empty:
            build_ledger(dataset, registry, MOST_ATTEMPTS)
    build_catalogue(dataset, registry)


@pytest.fixture
def catalogued(dataset, registry) -> Dataset:
    measure_groundwork(dataset)
    measure(dataset, registry, EMBEDDER, VECTORS)
    build_without_topology(dataset, registry)
    return dataset


@pytest.fixture
def filled(monkeypatch) -> list[str]:
    """A word for each catalogue that is built whole."""
    found: list[str] = []
    own = build._without_rows
    monkeypatch.setattr(build, "_without_rows", lambda *given: found.append("whole") or own(*given))
    return found


def test_rows_of_a_plate_that_changed_are_replaced_and_nothing_is_built_whole(catalogued, registry, filled):
    measure(catalogued, registry, EMBEDDER, GivenVectors({"plate-002": (0.0, 0.0, 8.0)}), ["plate-002"], is_forced=True)
    build_without_topology(catalogued, registry)
    assert filled == []
    assert differing_tables(catalogued) == []
    with connect(catalogued) as connection:
        vectors = connection.execute("SELECT vector FROM embeddings_fake_embedder WHERE plate_id = 'plate-002'")
        assert vectors.fetchall() == [((0.0, 0.0, 8.0),)]
        (comment,) = connection.execute(
            "SELECT comment FROM duckdb_columns() WHERE (table_name, column_name) = ('embeddings', 'vector')"
        ).fetchone() or (None,)
        assert comment


def alter_the_catalogue(dataset: Dataset) -> None:
    path = dataset.catalogue_path
    path.write_bytes(path.read_bytes() + b"\0")


def lose_what_it_was_built_from(dataset: Dataset) -> None:
    (dataset.root / NAME).unlink()


def flip_what_it_was_built_from(dataset: Dataset) -> None:
    path = dataset.root / NAME
    before = path.read_bytes()
    path.write_bytes(before.replace(b"embeddings/", b"embeddinks/"))
    assert path.read_bytes() != before


@pytest.mark.parametrize("change", [alter_the_catalogue, lose_what_it_was_built_from, flip_what_it_was_built_from])
def test_it_is_built_whole_unless_it_is_known_what_it_has(
    catalogued, registry, filled, change: Callable[[Dataset], None]
):
    change(catalogued)
    build_catalogue(catalogued, registry)
    assert filled == ["whole"]
    assert differing_tables(catalogued) == []


def test_it_is_built_whole_once_a_comment_differs(catalogued, registry, filled, monkeypatch):
    view = replace(build.FAILURES, meaning="Said in other words.")
    monkeypatch.setattr(build, "FAILURES", view)
    build_catalogue(catalogued, registry)
    assert filled == ["whole"]
    with connect(catalogued) as connection:
        query = "SELECT comment FROM duckdb_views() WHERE view_name = 'failures'"
        assert connection.execute(query).fetchone() == ("Said in other words.",)


def test_it_is_built_whole_once_replaced_rows_have_doubled_its_size(catalogued, registry, filled, monkeypatch):
    monkeypatch.setattr(build, "MOST_GROWTH", 0)
    build_catalogue(catalogued, registry)
    assert filled == ["whole"]
