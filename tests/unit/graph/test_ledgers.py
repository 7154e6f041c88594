"""The ledgers' assets: their dependencies, what their columns come from, and the numbers of a refresh."""

from typing import Any

import dagster as dg
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import LEDGER_ASSETS, alter_source

from atlas_assets.graph.ledgers import build_ledger_assets
from atlas_resources.plates.intake.registration import register_scans
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


def test_runs_are_made_of_the_ledgers_of_results_and_lineage_of_runs_plates_and_prompts(parents):
    assert parents["ledger/runs"] == {f"ledger/{table.name}" for table in INSTRUMENT_TABLES.values()}
    of_plates = {"ledger/plates", "ledger/histograms"}
    of_prompts = {"ledger/probes", "ledger/detections", "ledger/texts"}
    assert parents["ledger/lineage"] == {"ledger/runs"} | of_plates | of_prompts


def test_segment_sets_are_made_of_segments(parents):
    assert parents["ledger/segment_sets"] == {"ledger/segments"}


def test_the_catalogue_is_built_after_every_ledger(parents):
    assert parents["catalogue"] == set(LEDGER_ASSETS) - {"catalogue"}


def metadata_of(graph, name: str) -> dict[str, Any]:
    """The metadata of an asset's last materialisation, by name."""
    event = graph.instance.get_latest_materialization_event(dg.AssetKey(name.split("/")))
    assert event.asset_materialization
    return {key: value.value for key, value in event.asset_materialization.metadata.items()}


def origins(graph, name: str, column: str) -> set[tuple[str, str]]:
    """The assets and columns that a column is made of."""
    lineage = metadata_of(graph, name)["dagster/column_lineage"]
    return {(dep.asset_key.to_user_string(), dep.column_name) for dep in lineage.deps_by_column[column]}


def test_each_refresh_states_what_every_column_is_made_of(built):
    assert origins(built, "ledger/embeddings", "vector") == {("embeddings/fake_embedder", "vector")}
    assert origins(built, "ledger/embeddings", "is_current") == {
        ("embeddings/fake_embedder", name) for name in ("run_id", "fingerprint", "source_sha256")
    }
    assert origins(built, "ledger/plates", "title") == {("plate/manifest", "title")}
    assert origins(built, "ledger/plates", "luminance_mean") == {("plate/input_image", "luminance_mean")}
    assert origins(built, "ledger/lineage", "run_id") == {("ledger/runs", "run_id")}
    assert {("ledger/runs", "inputs"), ("ledger/plates", "measured_source_sha256")} <= origins(
        built, "ledger/lineage", "object_sha256"
    )
    assert ("ledger/embeddings", "run_id") in origins(built, "ledger/runs", "run_id")
    assert origins(built, "catalogue", "segments.area_px") == {("ledger/segments", "area_px")}


def test_every_column_in_a_lineage_is_a_column_of_a_parent(built):
    graph = built.definitions.resolve_asset_graph()

    def columns_of(key: dg.AssetKey) -> set[str]:
        return {column.name for column in graph.get(key).metadata["dagster/column_schema"].columns}

    for name in LEDGER_ASSETS:
        key = dg.AssetKey(name.split("/"))
        deps_by_column = metadata_of(built, name)["dagster/column_lineage"].deps_by_column
        assert set(deps_by_column) <= columns_of(key)
        for dep in (dep for deps in deps_by_column.values() for dep in deps):
            assert dep.column_name in columns_of(dep.asset_key), (name, dep)
            assert dep.asset_key in graph.get(key).parent_keys, (name, dep)


def test_the_ui_shows_the_origin_of_columns_as_a_table(built):
    shown = built.definitions.resolve_asset_graph().get(dg.AssetKey(["ledger", "lineage"])).metadata["columns_from"]
    assert "| `run_id` | the same of `ledger/runs` |" in shown.value
    assert "| `relation`, `subject_kind`, `object_kind` | the kind of the edge |" in shown.value


def test_a_refresh_has_numbers_that_the_ui_plots(built):
    embeddings, runs = metadata_of(built, "ledger/embeddings"), metadata_of(built, "ledger/runs")
    assert (embeddings["dagster/row_count"], embeddings["plates"], embeddings["current_rows"]) == (5, 5, 5)
    assert (runs["dagster/row_count"], runs["current_rows"], runs["failed_runs"]) == (10, 10, 0)
    for name in ("seconds", "file_size_bytes", "median_seconds_per_plate"):
        assert runs[name] > 0, name


def test_ledgers_of_what_went_wrong_show_it(graph, tmp_path):
    torn = tmp_path / "![torn](http).tif"
    torn.write_bytes(b"torn")
    list(register_scans(graph.dataset, [torn]))
    alter_source(graph.dataset, "plate-002")
    graph.materialize("plate/input_image", "plate/input_color_histograms")
    graph.materialize("ledger/refused_scans", "ledger/groundwork_failures")
    refused = metadata_of(graph, "ledger/refused_scans")["first_rows"]
    assert refused.startswith("- ")
    assert "!\\[torn\\](http).tif: is not an image" in refused
    assert metadata_of(graph, "ledger/groundwork_failures")["first_rows"].startswith("- plate-002: ")


def test_types_of_columns_are_short(built):
    schema = built.definitions.resolve_asset_graph().get(dg.AssetKey(["ledger", "runs"])).metadata
    types = {column.name: column.type for column in schema["dagster/column_schema"].columns}
    assert (types["sealed_at"], types["attempt"]) == ("Datetime (UTC)", "Int32")
