"""Builders of ledgers that run at once: none reads two states of a ledger, and none keeps rows of an older one."""

import threading
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import make_dataset
from support.made_results import measure_groundwork, run_instrument
from support.made_spaces import MadeSpaces, drawn_vectors

from atlas_resources.files.locking import locked
from atlas_resources.ledgers import parquet
from atlas_resources.ledgers.builders import BUILDERS, build_all, build_ledger
from atlas_resources.ledgers.parquet import building, read_ledger, write_ledger
from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.topology.agreement import PLATE_AGREEMENT

EMBEDDINGS = INSTRUMENT_TABLES["embedding"]
PLATES = 12


@pytest.fixture
def made(tmp_path: Path, fakes) -> MadeSpaces:
    return MadeSpaces(tmp_path, {name: drawn_vectors(PLATES, 8, seed) for seed, name in enumerate(("one", "two"))})


class TestBuilding:
    def test_a_ledger_that_a_builder_has_read_is_replaced_only_once_its_own_is_built(self, made: MadeSpaces):
        rows, order = read_ledger(made.dataset, EMBEDDINGS), []

        def replace() -> None:
            with building(made.dataset, EMBEDDINGS.name):
                order.append("replaced")
                write_ledger(made.dataset, EMBEDDINGS, rows.head(1))

        other = threading.Thread(target=replace)
        with building(made.dataset, "neighbours"):
            read_ledger(made.dataset, EMBEDDINGS, ("plate_id",))
            other.start()
            other.join(0.3)
            assert read_ledger(made.dataset, EMBEDDINGS).height == rows.height
            order.append("built")
        other.join()
        assert order == ["built", "replaced"]
        assert read_ledger(made.dataset, EMBEDDINGS).height == 1

    def test_two_builders_read_one_ledger_at_once(self, made: MadeSpaces):
        with building(made.dataset, "coordinates"):
            read_ledger(made.dataset, EMBEDDINGS)
            other = threading.Thread(target=build_ledger, args=("plate_spaces", made.dataset, made.registry))
            other.start()
            other.join(30)
            assert not other.is_alive()

    def test_each_ledger_is_built_after_those_that_its_builder_keeps(self, tmp_path: Path, fakes, monkeypatch):
        """So no two builders can wait for each other."""
        registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
        dataset = make_dataset(tmp_path, "red", "green", "blue")
        measure_groundwork(dataset)
        for key in (EMBEDDER, SEGMENTER):
            run_instrument(dataset, registry, key)
        order, held = list(BUILDERS), []

        def record(path, *, is_shared=False):
            held.append((path.name.removeprefix("ledger."), is_shared))
            return locked(path, is_shared=is_shared)

        monkeypatch.setattr(parquet, "locked", record)
        build_all(dataset, registry)
        build_all(dataset, registry)
        own, read = "", set()
        for name, is_shared in held:
            if is_shared:
                read.add((own, name))
            elif name in LEDGERS:
                own = name
        assert read >= {("spaces", "embeddings"), ("plate_agreement", "neighbours"), ("segment_sets", "segments")}
        assert [(one, other) for one, other in read if order.index(other) >= order.index(one)] == []


class TestRowsOfAnotherState:
    def test_a_graph_of_other_vectors_is_found_anew(self, made: MadeSpaces):
        made.build()
        made.write({name: drawn_vectors(PLATES + 3, 8, seed) for seed, name in enumerate(("one", "two"))})
        built = made.build("plate_spaces", "spaces", "coordinates", "agreement")  # neighbours is left behind
        made.build("neighbours")
        for table in LEDGERS.values():
            if table.name in built:
                parquet.ledger_path(made.dataset, table).unlink()
        for name, rows in made.build(*built).items():
            assert_frame_equal(rows, built[name])

    def test_what_was_made_of_an_older_graph_is_not_kept(self, made: MadeSpaces):
        made.build()
        made.write({name: drawn_vectors(PLATES, 8, seed) for seed, name in enumerate(("three", "four"))})
        keys = ("three", "four")
        made.registry = fake_registry(*(fake_spec(EMBEDDER).model_copy(update={"key": key}) for key in keys))
        older = made.build("plate_agreement", "additions")
        newer = made.build()
        assert newer["plate_agreement"]["inputs_sha256"][0] != older["plate_agreement"]["inputs_sha256"][0]
        assert set(newer["additions"]["instrument"]) == {"three", "four"}
        parquet.ledger_path(made.dataset, PLATE_AGREEMENT).unlink()
        assert_frame_equal(made.build("plate_agreement")["plate_agreement"], newer["plate_agreement"])
