"""A file that lacks a weight of the named model is an error that says what is wrong; no weight is left random."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.made_checkpoints import snapshot_folder
from support.made_instruments import MINIATURES, changed, pinned
from support.made_specs import project_spec

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import LibraryWeights
from atlas_resources.models.loaders.segmenters.u2net import U2NetNetwork
from atlas_resources.models.loaders.segmenters.u2net import load as load_u2net
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Embedder
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch, weights_folder

Weights = dict[str, torch.Tensor]


def folder_of(spec: Spec) -> Path:
    assert spec.weights is not None
    assert spec.weights.kind != "algorithm"
    return weights_folder(spec.weights)


def rewrite(spec: Spec, change: Callable[[Weights], object], scratch: Path) -> Spec:
    """Changes the checkpoint on disk and returns the spec that pins the changed one."""
    weights: Any = spec.weights
    path = folder_of(spec) / weights.files[0].path
    if path.suffix == ".safetensors":
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})
    else:
        tensors = torch.load(path, weights_only=True)
        change(tensors)
        torch.save(tensors, path)
    return pinned(spec, folder_of(spec), scratch)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Spec]:
    return lambda name: MINIATURES[name](tmp_path / name, monkeypatch).spec


# Each: the weight as the file names it, and as its library does.
@pytest.mark.parametrize(
    ("name", "lost", "its_name"),
    [
        ("clip, whole", "visual_projection.weight", "visual_projection.weight"),
        ("clip, whole", "vision_model.encoder.layers.1.mlp.fc1.bias", "vision_model.encoder.layers.1.mlp.fc1.bias"),
        ("dinov2", "embeddings.cls_token", "embeddings.cls_token"),
        ("siglip", "vision_model.head.probe", "head.probe"),
        ("image_classifier, vit", "classifier.bias", "classifier.bias"),
        ("aimv2", "trunk.blocks.1.attn.qkv.weight", "blocks.1.attn.qkv.weight"),
        ("open_clip, by name", "visual.proj", "proj"),
        ("open_clip, by snapshot", "visual.head.proj.weight", "head.proj.weight"),
        ("torchvision, vgg16_imagenet1k_v1", "features.0.weight", "features.0.weight"),
        ("torchvision, resnet50_imagenet1k_v1", "fc.weight", "fc.weight"),
    ],
)
def test_a_checkpoint_that_lacks_a_weight_is_refused(
    name: str, lost: str, its_name: str, made: Callable[[str], Spec], tmp_path: Path
):
    spec = rewrite(made(name), lambda weights: weights.pop(lost), tmp_path)
    in_snapshot = rf"expected every weight of \w+ and no other, found none for {its_name}\."
    expected = rf"{in_snapshot}|found others: {its_name} .*, found none\)"
    with pytest.raises(WeightsMismatch, match=expected) as error:
        load_model(spec)
    assert str(folder_of(spec)) in str(error.value)


def test_another_family_under_the_name_is_refused(made: Callable[[str], Spec], tmp_path: Path):
    """A DINOv2 checkpoint where CLIP's is expected, under CLIP's configuration: not one weight fits."""
    other = snapshot_folder(made("dinov2"), tmp_path / "dinov2" / "hub")
    clip = made("clip, whole")
    shutil.copy(other / "model.safetensors", folder_of(clip) / "model.safetensors")
    with pytest.raises(
        WeightsMismatch, match=r"expected every weight of CLIPVisionModelWithProjection and no other, .* and \d+ more"
    ):
        load_model(pinned(clip, folder_of(clip), tmp_path))


def cut(weights: Weights, name: str) -> None:
    weights[name] = weights[name][:12].clone()


def test_a_weight_of_another_shape_is_refused(made: Callable[[str], Spec], tmp_path: Path):
    spec = rewrite(made("clip, whole"), lambda weights: cut(weights, "visual_projection.weight"), tmp_path)
    with pytest.raises(WeightsMismatch, match=r"found visual_projection\.weight \[24, 32\] as \[12, 32\]\. Pin a rev"):
        load_model(spec)


def test_the_shapes_expected_and_found_are_reported(made: Callable[[str], Spec], tmp_path: Path):
    spec = rewrite(made("open_clip, by name"), lambda weights: cut(weights, "visual.ln_post.weight"), tmp_path)
    with pytest.raises(WeightsMismatch, match=r"ln_post\.weight \(\(32,\), found \(12,\)\)\. Pin a file that holds"):
        load_model(spec)


def test_an_additional_weight_is_refused(made: Callable[[str], Spec], tmp_path: Path):
    more = rewrite(made("aimv2"), lambda weights: weights.update(head=torch.zeros(1)), tmp_path)
    with pytest.raises(WeightsMismatch, match=r"head \(not expected, found \(1,\)\)"):
        load_model(more)


@pytest.mark.parametrize(
    ("name", "added"),
    [
        ("dinov2", "embeddings.register_tokens"),  # of DINOv2 with registers, which plain DINOv2 computes without
        ("dinov2", "text_model.final_layer_norm.bias"),  # a text tower is allowed where the architecture has one
        ("clip, vision tower", "vision_model.adapter.weight"),
        ("image_classifier, vit", "head_dist.weight"),
    ],
)
def test_a_weight_that_the_architecture_does_not_have_is_refused(
    name: str, added: str, made: Callable[[str], Spec], tmp_path: Path
):
    more = rewrite(made(name), lambda weights: weights.update({added: torch.zeros(1, 4, 32)}), tmp_path)
    with pytest.raises(WeightsMismatch, match=f"and no other, found others: {added}. Pin a revision"):
        load_model(more)


@pytest.mark.parametrize("added", ["text_model.adapter.bias", "vision_model.embeddings.position_ids"])
def test_the_text_tower_and_buffers_of_older_files_are_left_out(
    added: str, made: Callable[[str], Spec], tmp_path: Path
):
    more = rewrite(made("clip, vision tower"), lambda weights: weights.update({added: torch.zeros(1, 17)}), tmp_path)
    assert isinstance(load_model(more), Embedder)


def with_heads(spec: Spec, heads: int, scratch: Path) -> Spec:
    """The tiny DINOv2 of four heads, with another number in its config.json: every weight has the same shape."""
    path = folder_of(spec) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_attention_heads": heads}), encoding="utf-8")
    declared = {"num_attention_heads": 4, "hidden_act": "gelu", "use_swiglu_ffn": False}
    return changed(pinned(spec, folder_of(spec), scratch), configuration=declared)


def test_a_configuration_with_other_heads_is_refused(made: Callable[[str], Spec], tmp_path: Path):
    spec = made("dinov2")
    assert isinstance(load_model(with_heads(spec, 4, tmp_path)), Embedder)
    with pytest.raises(
        WeightsMismatch, match=r"config\.json is not that .*: num_attention_heads: expected 4, found 2\. Fix"
    ):
        load_model(with_heads(spec, 2, tmp_path))


def without_counters(weights: Weights) -> None:
    for name in [name for name in weights if name.endswith("num_batches_tracked")]:
        del weights[name]


@pytest.mark.parametrize("key", ["resnet50_imagenet1k_v1", "efficientnet_b0_imagenet1k_v1"])
def test_a_file_from_before_batches_were_counted_gives_the_same_vectors(
    key: str, made: Callable[[str], Spec], tmp_path: Path
):
    """torch 0.4.1 added the counter to batch norms; the published file of ResNet-50 V1 has none."""
    spec = made(f"torchvision, {key}")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with_counters = load_model(spec)
    assert isinstance(with_counters, Embedder)
    expected = with_counters.embed(images)
    older = rewrite(spec, without_counters, tmp_path)
    weights: Any = older.weights
    path = folder_of(older) / weights.files[0].path
    assert not any(name.endswith("num_batches_tracked") for name in torch.load(path, weights_only=True))
    found = load_model(older)
    assert isinstance(found, Embedder)
    assert torch.equal(torch.from_numpy(found.embed(images)), torch.from_numpy(expected))


@pytest.mark.parametrize("lost", ["stage1.rebnconvin.conv_s1.weight", "outconv.bias"])
def test_a_checkpoint_of_u2net_that_lacks_a_weight_is_refused(lost: str, tmp_path: Path):
    weights = U2NetNetwork().state_dict()
    del weights[lost]
    torch.save(weights, tmp_path / "full_weights.pth")
    located = LocatedWeights({"full_weights.pth": tmp_path / "full_weights.pth"}, tmp_path)
    with pytest.raises(WeightsMismatch, match=rf"u2net: .*full_weights.pth: .* found others: {lost} .*, found none\)"):
        load_u2net(project_spec("u2net"), located, "cpu")


def test_a_file_of_other_weights_of_torchvision_is_refused(made: Callable[[str], Spec], tmp_path: Path):
    spec = made("torchvision, resnet50_imagenet1k_v1")
    assert isinstance(spec.weights, LibraryWeights)
    other = changed(spec, model_id="torchvision/ResNet50_Weights.IMAGENET1K_V2")
    with pytest.raises(WeightsMismatch, match=r"V2 is in resnet50-11ad3fa6.pth, .* names resnet50-0676ba61.pth"):
        load_model(other)


def test_a_feature_that_the_network_does_not_give_is_refused(made: Callable[[str], Spec]):
    spec = made("torchvision, vgg16_imagenet1k_v1")
    with pytest.raises(ValueError, match=r"vgg16 is global_average_pool, .* declares global_average_pool_layer_norm"):
        load_model(changed(spec, output={"pooled_feature": "global_average_pool_layer_norm"}))


def test_an_architecture_that_open_clip_does_not_have_is_refused(made: Callable[[str], Spec]):
    spec = made("open_clip, by name")
    with pytest.raises(WeightsMismatch, match=r"open_clip 3\.3\.0 has no 'ViT-H-15' with weights"):
        load_model(changed(spec, parameters={"architecture": "ViT-H-15"}))


def test_sizes_from_a_configuration_that_is_not_pinned_are_refused(made: Callable[[str], Spec]):
    """The activation follows from it, and a wrong one changes the vectors without an error."""
    spec = made("open_clip, by snapshot")
    content = spec.model_dump(mode="json")
    content["weights"]["files"][1]["sha256"] = None
    with pytest.raises(WeightsMismatch, match=r"expected open_clip_config\.json with its sha256"):
        load_model(Spec.model_validate(content))


def test_another_model_of_the_family_of_aimv2_is_refused(made: Callable[[str], Spec]):
    with pytest.raises(ValueError, match=r"knows apple/aimv2-large-patch14-336-distilled, .* names apple/other"):
        load_model(changed(made("aimv2"), model_id="apple/other"))
