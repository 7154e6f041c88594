"""The ledgers' assets and their dependencies."""

import pytest
from support.fake_instruments import fake_registry, fake_spec

from atlas_assets.graph.ledgers import build_ledger_assets
from atlas_resources.tables.ledgers import LEDGERS


@pytest.fixture
def parents(fakes) -> dict[str, set[str]]:
    """The keys of each ledger's and the catalogue's parents, by key."""
    assets = build_ledger_assets(fake_registry(fake_spec("segmenter")))
    return {
        key.to_user_string(): {parent.to_user_string() for parent in asset.asset_deps[key]}
        for asset in assets
        for key in asset.keys
    }


def test_segment_sets_are_built_after_segments_and_runs(parents):
    assert parents["ledger/segment_sets"] == {"ledger/runs", "ledger/segments"}


def test_the_catalogue_is_built_after_every_ledger(parents):
    assert parents["catalogue"] == {f"ledger/{name}" for name in LEDGERS}
