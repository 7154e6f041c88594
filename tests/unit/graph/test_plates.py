"""Registered plates are known to Dagster with their manifests, before any run: the UI does not miss upstream data."""

import dagster as dg
import pytest
from support.made_datasets import alter_source, make_dataset

from atlas_assets.graph.plates import MANIFEST_KEY, report_registered, untried_plates
from atlas_assets.in_process.materializing import materialize


@pytest.fixture
def plates(tmp_path):
    """Three registered plates that no run has read."""
    return make_dataset(tmp_path, "red", "green", "blue")


def test_each_registered_plate_is_recorded_with_its_digest_once(plates, instance):
    assert report_registered(instance, plates) == ["plate-001", "plate-002", "plate-003"]
    assert instance.get_materialized_partitions(MANIFEST_KEY) == {"plate-001", "plate-002", "plate-003"}
    assert report_registered(instance, plates) == []
    event = instance.get_latest_materialization_event(MANIFEST_KEY).asset_materialization
    assert event.tags["dagster/data_version"] == plates.plate("plate-003").source_sha256()
    assert event.metadata["recorded"].value == "as registered; no run has compared the source since"


def test_a_plate_whose_source_changed_is_left_to_a_run(plates, instance):
    alter_source(plates, "plate-002")
    assert report_registered(instance, plates) == ["plate-001", "plate-003"]
    assert untried_plates(instance, plates.plate_ids()) == ["plate-002"]


def test_a_plate_whose_manifest_cannot_be_read_does_not_stop_the_others(plates, instance):
    path = plates.plate("plate-001").manifest_path
    path.chmod(0o644)
    path.write_text("{")
    assert report_registered(instance, plates) == ["plate-002", "plate-003"]


def test_a_run_in_the_terminal_without_the_manifests_records_them(graph):
    layers = materialize(graph.registry, graph.dataset, graph.instance, selection='key:"embeddings/fake_embedder"')
    assert all(layer.is_success for layer in layers)
    assert graph.instance.get_materialized_partitions(MANIFEST_KEY) == set(graph.dataset.plate_ids())


def test_what_is_made_of_a_recorded_manifest_is_fresh(graph):
    report_registered(graph.instance, graph.dataset)
    assert graph.materialize("embeddings/fake_embedder").success
    event = graph.instance.get_latest_materialization_event(dg.AssetKey(["embeddings", "fake_embedder"]))
    tags = event.asset_materialization.tags
    assert tags["dagster/input_data_version/plate/manifest"] == graph.dataset.plate("plate-005").source_sha256()
