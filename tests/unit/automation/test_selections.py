"""`@name` in a terminal and a job in the UI select the same assets."""

import dagster as dg
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph

from atlas_assets.automation.selections import expand, saved_selections
from atlas_assets.in_process.materializing import materialize
from atlas_resources.instruments.registry import read_registry


def keys_of(graph: Graph, text: str) -> set[str]:
    resolved = dg.AssetSelection.from_string(text).resolve(graph.definitions.resolve_asset_graph())
    return {key.to_user_string() for key in resolved}


def test_each_selection_has_its_assets(graph):
    saved = saved_selections(graph.registry)
    assert set(saved) == {"plates", "groundwork", "embeddings", "segments", "ledgers", "page", EMBEDDER, SEGMENTER}
    assert keys_of(graph, saved["groundwork"].text) == {"plate/input_image", "plate/input_color_histograms"}
    assert keys_of(graph, saved["embeddings"].text) == {f"embeddings/{EMBEDDER}"}
    fed = keys_of(graph, saved[EMBEDDER].text)
    assert {f"embeddings/{EMBEDDER}", "ledger/runs", "ledger/embeddings", "catalogue"} <= fed
    assert keys_of(graph, saved["ledgers"].text) <= fed
    assert not {f"segments/{SEGMENTER}", "plate/manifest"} & fed


def test_each_job_materialises_the_assets_of_its_selection(graph):
    repository = graph.definitions.get_repository_def()
    for name, selection in saved_selections(graph.registry).items():
        selected = repository.get_job(f"materialise_{name}").asset_layer.selected_asset_keys
        assert {key.to_user_string() for key in selected} == keys_of(graph, selection.text)


def test_an_instrument_that_is_not_active_has_a_name_and_no_job():
    saved = saved_selections(read_registry())
    assert saved["efficientnet_lite0"].is_job
    assert not saved["dinov2_base"].is_job


def test_names_are_expanded_within_selections_and_may_be_model_ids(fakes):
    registry = fake_registry(fake_spec(EMBEDDER))
    embedding = saved_selections(registry)[EMBEDDER].text
    assert embedding.startswith(f'key:"embeddings/{EMBEDDER}" or key:"ledger/')
    assert expand(registry, f"@{EMBEDDER}") == f"({embedding})"
    assert expand(registry, f"@tests/{EMBEDDER} and not group:plate") == f"({embedding}) and not group:plate"
    assert expand(registry, "group:embeddings") == "group:embeddings"


@pytest.mark.parametrize(
    ("text", "message"), [("@embedings", "Did you mean embeddings"), ("@sdxl_turbo", "sdxl_turbo is not admitted: ")]
)
def test_an_unknown_name_is_refused_with_a_hint(text, message):
    with pytest.raises(ValueError, match=message):
        expand(read_registry(), text)


def test_an_instrument_must_not_have_the_name_of_a_layer(fakes):
    with pytest.raises(ValueError, match="two saved selections are named 'ledgers'"):
        saved_selections(fake_registry(fake_spec(SEGMENTER).model_copy(update={"key": "ledgers"})))


def test_an_instruments_selection_runs_in_a_new_dataset(graph):
    assert not list(graph.dataset.ledger_dir.iterdir())
    layers = list(materialize(graph.registry, graph.dataset, graph.instance, selection=f"@{EMBEDDER}"))
    assert [(layer.name, layer.is_success) for layer in layers] == [("instruments", True), ("ledgers", True)]
    assert graph.materialized(f"embeddings/{EMBEDDER}") == set(graph.dataset.plate_ids())
    assert graph.dataset.catalogue_path.is_file()
