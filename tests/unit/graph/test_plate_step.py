"""A run over a range of plates emits one event per plate and asset, with the tags that decide staleness."""

from collections import Counter

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph

PLATES = ["plate-001", "plate-002", "plate-003", "plate-004", "plate-005"]
PLATE_ASSETS = [
    "plate/manifest",
    "plate/input_image",
    "plate/input_color_histograms",
    f"embeddings/{EMBEDDER}",
    f"segments/{SEGMENTER}",
]


def stale_status(graph: Graph, key: str, plate_id: str) -> StaleStatus:
    """The stale status of a partition, resolved as in the UI."""
    resolver = CachingStaleStatusResolver(
        graph.instance, graph.definitions.resolve_asset_graph(), LoadingContextForTest(graph.instance)
    )
    return resolver.get_status(dg.AssetKey(key.split("/")), plate_id)


@pytest.fixture
def run(graph):
    return graph.materialize(*PLATE_ASSETS)


def test_every_plate_has_one_event_of_every_asset_in_one_run(graph, run):
    assert run.success
    for key in PLATE_ASSETS:
        assert Counter(partition for partition, _ in graph.events(key)) == Counter(PLATES), key


def test_no_step_downstream_is_skipped(run):
    assert [event.step_key for event in run.all_events if event.is_step_skipped] == []
    assert {event.step_key for event in run.all_events if event.is_step_success} == {
        "plate__manifest",
        "groundwork",
        f"embeddings__{EMBEDDER}",
        f"segments__{SEGMENTER}",
    }


def test_every_event_has_its_plate(graph, run):
    for key in PLATE_ASSETS:
        assert None not in [partition for partition, _ in graph.events(key)]


def test_an_event_records_code_version_and_input_versions(graph, run):
    (manifest,) = [event for plate, event in graph.events("plate/manifest") if plate == "plate-002"]
    (embedding,) = [event for plate, event in graph.events(f"embeddings/{EMBEDDER}") if plate == "plate-002"]
    source_sha256 = graph.dataset.plate("plate-002").source_sha256()
    fingerprint = graph.registry.instruments[EMBEDDER].identity.fingerprint
    assert manifest.tags is not None
    assert embedding.tags is not None
    assert manifest.tags["dagster/data_version"] == source_sha256
    assert embedding.tags["dagster/data_version"] == f"{fingerprint[:16]}-{source_sha256[:16]}"
    assert embedding.tags["dagster/code_version"] == fingerprint
    assert embedding.tags["dagster/input_data_version/plate/manifest"] == source_sha256
    assert int(embedding.tags["dagster/input_event_pointer/plate/manifest"]) > 0


def test_every_plate_is_fresh_after_a_run(graph, run):
    for key in PLATE_ASSETS:
        assert {stale_status(graph, key, plate) for plate in PLATES} == {StaleStatus.FRESH}, key


def test_a_plate_that_was_not_requested_is_missing(graph):
    graph.materialize(*PLATE_ASSETS, plates=PLATES[:3])
    assert stale_status(graph, f"segments/{SEGMENTER}", "plate-003") == StaleStatus.FRESH
    assert stale_status(graph, f"segments/{SEGMENTER}", "plate-004") == StaleStatus.MISSING


def test_a_changed_fingerprint_makes_every_plate_stale_until_it_is_made_again(graph, run):
    changed = Graph(graph.dataset, fake_registry(fake_spec(EMBEDDER, gain=2.0), fake_spec(SEGMENTER)), graph.instance)
    embeddings, segments = f"embeddings/{EMBEDDER}", f"segments/{SEGMENTER}"
    assert stale_status(changed, embeddings, "plate-001") == StaleStatus.STALE
    assert stale_status(changed, segments, "plate-001") == StaleStatus.FRESH
    changed.materialize(embeddings, plates=["plate-001"])
    assert stale_status(changed, embeddings, "plate-001") == StaleStatus.FRESH
    assert stale_status(changed, embeddings, "plate-002") == StaleStatus.STALE


def test_a_later_run_of_the_manifest_leaves_its_dependents_fresh(graph, run):
    graph.materialize("plate/manifest")
    assert stale_status(graph, f"embeddings/{EMBEDDER}", "plate-001") == StaleStatus.FRESH
    assert stale_status(graph, "plate/input_image", "plate-001") == StaleStatus.FRESH


def test_ledgers_and_catalogue_are_made_in_a_separate_run(graph, run):
    assert graph.materialize_all().success
    assert graph.dataset.catalogue_path.is_file()
