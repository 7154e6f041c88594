"""A new spec for an existing loader gives an asset, a resource, a ledger row and a row of the docs, without code."""

from pathlib import Path

import dagster as dg
import pytest
from support.made_specs import content_of, copy_of_project, write_spec
from support.made_weights import put_weights, use_caches

from atlas_assets.cli.models.docs import models_page
from atlas_assets.definitions import build_definitions
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.ledgers.models import build_models
from atlas_resources.plates.dataset import Dataset

NEW = "clip_vit_base_patch16"
DIGEST = "ab" * 32


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    folder = copy_of_project(tmp_path)
    content = content_of("clip_vit_base_patch32")
    content |= {"key": NEW, "model_id": "openai/clip-vit-base-patch16"}
    content["weights"]["repository"] = "openai/clip-vit-base-patch16"
    content["weights"]["files"] = [{"path": "model.safetensors", "format": "safetensors", "sha256": DIGEST}]
    write_spec(folder, content)
    return read_registry(folder)


def test_it_is_admitted_and_not_active(registry: Registry):
    assert registry.problems == ()
    assert registry.status(NEW).name == "admitted"
    assert NEW not in registry.active


def test_with_its_weights_it_is_an_asset_and_a_resource(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    use_caches(monkeypatch, tmp_path)
    put_weights([registry.instruments[NEW]])
    definitions = build_definitions(registry, tmp_path)
    node = definitions.resolve_asset_graph().get(dg.AssetKey(["embeddings", NEW]))
    assert node.is_materializable
    assert node.code_version == registry.instruments[NEW].identity.fingerprint
    assert definitions.resources is not None
    assert definitions.resources[NEW].weights_sha256 == DIGEST


def test_it_has_a_row_in_the_ledger(registry: Registry, tmp_path: Path):
    dataset = Dataset(tmp_path / "atlas")
    dataset.ensure()
    (row,) = build_models(dataset, registry).filter(instrument=NEW).to_dicts()
    assert (row["status"], row["model_id"], row["vector_dim"]) == ("admitted", "openai/clip-vit-base-patch16", 512)


def test_it_has_a_row_in_the_docs(registry: Registry):
    (row,) = [line for line in models_page(registry).splitlines() if line.startswith(f"| [`{NEW}`]")]
    assert row.endswith("| **admitted** |")


def test_ideas_and_refused_models_are_in_the_ledger_with_the_reason(registry: Registry, tmp_path: Path):
    dataset = Dataset(tmp_path / "atlas")
    dataset.ensure()
    rows = {row["instrument"]: row for row in build_models(dataset, registry).to_dicts()}
    assert len(rows) == len(registry.specs)
    assert (rows["sdxl_turbo"]["status"], rows["sdxl_turbo"]["licence"]) == ("idea", "LicenseRef-SAI-NC-Community")
    assert rows["sam_vit_base_hub"]["missing"][0] == "weights: no sha256 of model.safetensors"
    assert rows["eva_clip_8b"]["status"] == "refused"
    assert rows["eva_clip_8b"]["missing"][0].startswith("needs code from its repository")
    assert rows["eva_clip_8b"]["fingerprint"] is None
