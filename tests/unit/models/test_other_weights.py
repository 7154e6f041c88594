"""A file that lacks a weight of the named model is an error that says what is wrong; no weight is left random."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.made_checkpoints import snapshot_folder
from support.made_instruments import MINIATURES, changed, pinned

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import LibraryWeights
from atlas_resources.models.loading import load_model
from atlas_resources.models.weights import WeightsMismatch, weights_folder

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
    expected = rf"expected every weight of \w+, found none for {its_name}\.|found others: {its_name} .*, found none\)"
    with pytest.raises(WeightsMismatch, match=expected) as error:
        load_model(spec)
    assert str(folder_of(spec)) in str(error.value)


def test_another_family_under_the_name_is_refused(made: Callable[[str], Spec], tmp_path: Path):
    """A DINOv2 checkpoint where CLIP's is expected, under CLIP's configuration: not one weight fits."""
    other = snapshot_folder(made("dinov2"), tmp_path / "dinov2" / "hub")
    clip = made("clip, whole")
    shutil.copy(other / "model.safetensors", folder_of(clip) / "model.safetensors")
    with pytest.raises(
        WeightsMismatch, match=r"expected every weight of CLIPVisionModelWithProjection, .* and \d+ more"
    ):
        load_model(pinned(clip, folder_of(clip), tmp_path))


def cut(weights: Weights, name: str) -> None:
    weights[name] = weights[name][:12].clone()


def test_a_weight_of_another_shape_is_refused(made: Callable[[str], Spec], tmp_path: Path):
    spec = rewrite(made("clip, whole"), lambda weights: cut(weights, "visual_projection.weight"), tmp_path)
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        load_model(spec)


def test_the_shapes_expected_and_found_are_reported(made: Callable[[str], Spec], tmp_path: Path):
    spec = rewrite(made("open_clip, by name"), lambda weights: cut(weights, "visual.ln_post.weight"), tmp_path)
    with pytest.raises(WeightsMismatch, match=r"ln_post\.weight \(\(32,\), found \(12,\)\)\. Pin a file that holds"):
        load_model(spec)


def test_an_additional_weight_is_refused(made: Callable[[str], Spec], tmp_path: Path):
    more = rewrite(made("aimv2"), lambda weights: weights.update(head=torch.zeros(1)), tmp_path)
    with pytest.raises(WeightsMismatch, match=r"head \(not expected, found \(1,\)\)"):
        load_model(more)


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
