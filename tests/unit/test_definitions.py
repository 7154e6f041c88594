"""What the UI shows of the graph before anything runs: assets described, instruments with their pins, no torch."""

import subprocess
import sys

import dagster as dg
import pytest
from support.made_weights import put_weights, use_caches

from atlas_assets.definitions import build_definitions
from atlas_assets.graph.instruments import asset_key
from atlas_resources.instruments.registry import read_registry

HEAVY = (
    *("torch", "transformers", "torchvision", "timm", "segment_anything", "onnxruntime", "cv2"),
    *("skimage", "sklearn", "scipy", "umap", "numba", "matplotlib", "imagehash"),
)
PARTITIONED = {
    "plate/manifest",
    "plate/input_image",
    "plate/input_color_histograms",
    "embeddings/clip_vit_base_patch32",
    "embeddings/clip_vit_large_patch14",
    "embeddings/dinov2_base",
    "embeddings/dinov2_giant",
    "embeddings/dinov2_large",
    "embeddings/efficientnet_lite0",
    "embeddings/efficientnet_lite0_tiles",
    "probes/efficientnet_lite0_imagenet",
    "segments/otsu_luma",
    "segments/mask2former_swin_large_ade",
    "segments/sam_vit_base",
    "segments/sam_vit_base_tiles",
    "segments/sam_vit_huge",
    "segments/sam_vit_large",
    "segments/u2net",
}
UNPARTITIONED = {
    "catalogue",
    "ledger/embeddings",
    "ledger/histograms",
    "ledger/lineage",
    "ledger/models",
    "ledger/plates",
    "ledger/detections",
    "ledger/probes",
    "ledger/runs",
    "ledger/segment_sets",
    "ledger/completeness",
    "ledger/segments",
}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory):
    """The graph where every instrument has its weights."""
    registry, folder = read_registry(), tmp_path_factory.mktemp("dataset")
    with pytest.MonkeyPatch.context() as patch:
        use_caches(patch, folder)
        put_weights(registry.instruments.values())
        yield build_definitions(registry, folder)


@pytest.fixture(scope="module")
def graph(definitions):
    return definitions.resolve_asset_graph()


def test_importing_the_definitions_imports_nothing_heavy():
    """What that costs in seconds is in `benchmarks/orchestration.py`."""
    code = f"import sys, atlas_assets.definitions; print(*(name for name in {HEAVY} if name in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []


def test_there_is_a_node_for_every_artifact_and_model(graph):
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert keys >= PARTITIONED | UNPARTITIONED
    assert {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).is_partitioned} >= PARTITIONED


def test_every_asset_has_a_description_a_group_kinds_and_an_owner(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.group_name != "default", key
        assert node.kinds, key
        assert node.owners == ["team:atlas"], key


@pytest.mark.parametrize("key", sorted((PARTITIONED - {"plate/manifest"}) | (UNPARTITIONED - {"catalogue"})))
def test_every_asset_with_a_table_shows_its_columns(graph, key):
    schema = graph.get(dg.AssetKey(key.split("/"))).metadata["dagster/column_schema"]
    assert schema.columns
    assert all(column.description and column.type for column in schema.columns)


def test_an_instrument_asset_is_versioned_by_its_fingerprint_and_names_its_faults(graph):
    registry = read_registry()
    for instrument in registry.instruments.values():
        node = graph.get(asset_key(instrument))
        assert node.code_version == instrument.identity.fingerprint
        read = asset_key(instrument.upstream) if instrument.upstream else dg.AssetKey(["plate", "manifest"])
        assert node.parent_keys == {read}
        for mode in instrument.spec.failure_modes:
            assert mode.fact in (node.description or "")


def test_every_admitted_instrument_has_a_resource_that_shows_its_pins(definitions):
    registry = read_registry()
    resources = definitions.resources or {}
    assert set(resources) == {"dataset", *registry.instruments}
    for key, instrument in registry.instruments.items():
        shown = resources[key].model_dump()
        identity = instrument.identity
        assert shown["model_id"] == identity.model_id
        assert shown["revision"] == identity.model_sha
        assert shown["weights_sha256"] == (identity.weights_sha256 or "none: an algorithm without weights")


def test_a_gpu_instrument_holds_a_place_in_the_pool_and_groundwork_never_does(definitions):
    pools = {
        assets.op.name: assets.op.pool for assets in definitions.assets or [] if isinstance(assets, dg.AssetsDefinition)
    }
    for instrument in read_registry().instruments.values():
        is_cuda = instrument.spec.numeric is not None and instrument.spec.numeric.device == "cuda"
        assert pools[asset_key(instrument).to_python_identifier()] == ("gpu" if is_cuda else None)
    assert pools["groundwork"] is None
    assert pools["plate__manifest"] is None


def test_stages_that_depend_on_each_other_are_never_backfilled_in_one_run(definitions, graph):
    """With equal policies they share a run, where the later is skipped if a plate of the earlier failed."""
    policies = {
        key: assets.backfill_policy
        for assets in definitions.assets or []
        if isinstance(assets, dg.AssetsDefinition)
        for key in assets.keys
    }
    for key, policy in policies.items():
        if graph.get(key).is_partitioned:
            for parent in graph.get(key).parent_keys:
                assert policies[parent] != policy, (key, parent)


def test_a_broken_spec_is_a_node_that_says_what_is_wrong_and_the_others_load(tmp_path):
    (tmp_path / "bad-one.yaml").write_text("key: bad-one\nrole: soothsayer\n")
    (tmp_path / "otsu_luma.yaml").write_text((read_registry().folder / "otsu_luma.yaml").read_text())
    graph = build_definitions(read_registry(tmp_path), tmp_path).resolve_asset_graph()
    node = graph.get(dg.AssetKey(["broken_specs", "bad_one"]))
    assert not node.is_executable
    assert "soothsayer" in (node.description or "")
    assert graph.has(dg.AssetKey(["segments", "otsu_luma"]))


def test_an_instruments_description_leads_to_its_revision_at_the_hub_and_names_its_terms(graph):
    """A link for a person to open; `test_only_one_module_talks_to_a_hub` holds that nothing here follows it."""
    said = graph.get(dg.AssetKey(["embeddings", "dinov2_base"])).description
    revision = "f9e44c814b77203eaa57a6bdbbd535f21ede1415"
    assert f"[`{revision}`](https://huggingface.co/facebook/dinov2-base/tree/{revision})" in said
    assert "- Licence: Apache-2.0 (facebookresearch/dinov2 MODEL_CARD.md" in said
    assert "Known failure modes:\n- " in said
    without_hub = graph.get(dg.AssetKey(["segments", "otsu_luma"])).description
    assert "an algorithm without weights" in without_hub
    assert "](http" not in without_hub
