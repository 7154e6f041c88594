"""The ledgers' assets and their dependencies."""

import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec

from atlas_assets.graph.ledgers import build_ledger_assets
from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.results import INSTRUMENT_TABLES


@pytest.fixture
def parents(fakes) -> dict[str, set[str]]:
    """The keys of each ledger's and the catalogue's parents, by key."""
    assets = build_ledger_assets(fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER)))
    return {
        key.to_user_string(): {parent.to_user_string() for parent in asset.asset_deps[key]}
        for asset in assets
        for key in asset.keys
    }


def test_a_ledger_of_results_reads_the_instruments_of_its_role_and_nothing_else(parents):
    assert parents["ledger/segments"] == {"segments/fake_segmenter"}
    assert parents["ledger/embeddings"] == {"embeddings/fake_embedder"}
    assert parents["ledger/probes"] == set()


def test_runs_are_made_of_the_ledgers_of_results_and_lineage_of_runs(parents):
    assert parents["ledger/runs"] == {f"ledger/{table.name}" for table in INSTRUMENT_TABLES.values()}
    assert parents["ledger/lineage"] == {"ledger/runs"}


def test_segment_sets_are_made_of_segments(parents):
    assert parents["ledger/segment_sets"] == {"ledger/segments"}


def test_the_catalogue_is_built_after_every_ledger(parents):
    assert parents["catalogue"] == {f"ledger/{name}" for name in LEDGERS}
