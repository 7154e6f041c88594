"""A processor's steps are read right, and a spec that declares others is refused unless it declares the departure."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from PIL import Image
from support.made_instruments import MINIATURES, changed, pinned
from support.made_specs import PROJECT, WRITTEN, content_of, project_spec
from torchvision.models import get_weight

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models._departures import PreprocessingMismatch, require_same_steps, require_snapshots_steps
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.processor_steps import (
    READ_RIGHT,
    StepsUnreadable,
    steps_of_configurations,
    steps_of_snapshot,
    steps_of_torchvision,
)
from atlas_resources.models.protocols import Embedder
from atlas_resources.models.weights import WeightsMissing, require_weights, verify_weights

# Files of the hub as models of this kind have them, older forms included; see the specs' sources for their digests.
CLIP = {
    "crop_size": 224,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 224,
}
DINOV2 = {
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "BitImageProcessor",
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 256},
}
SIGLIP = {
    "do_rescale": True,
    "image_mean": [0.5] * 3,
    "image_processor_type": "SiglipImageProcessor",
    "image_std": [0.5] * 3,
    "resample": 3,
    "size": {"height": 384, "width": 384},
}
DETR = {
    "do_normalize": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "DetrImageProcessor",
    "image_std": [0.229, 0.224, 0.225],
    "max_size": 1333,
    "size": 800,
}
SAM = {"image_processor_type": "SamImageProcessor", "size": {"longest_edge": 1024}}


def write(folder: Path, content: dict[str, Any]) -> Path:
    (folder / "preprocessor_config.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("clip_vit_base_patch32", CLIP),
        ("dinov2_large", DINOV2),
        ("siglip_so400m_patch14_384", SIGLIP),
        ("detr_resnet50", DETR),
        ("sam_vit_base_hub", SAM),
    ],
)
def test_what_the_project_declares_is_what_the_hubs_file_says(key: str, content: dict[str, Any], tmp_path: Path):
    assert require_snapshots_steps(project_spec(key), write(tmp_path, content)) is None  # raises where they differ


SIDE_PX = 96
SHORT_LONG = {"shortest_edge": SIDE_PX, "longest_edge": 2 * SIDE_PX}
SETTINGS: dict[str, dict[str, Any]] = {  # a small size in each class's own way; the rest by its defaults
    "BeitImageProcessorPil": {"size": {"height": SIDE_PX, "width": SIDE_PX}},
    "ConvNextImageProcessorPil": {"size": {"shortest_edge": SIDE_PX}},
    "DetrImageProcessorPil": {"size": SHORT_LONG},
    "GroundingDinoImageProcessorPil": {"size": SHORT_LONG},
    "Mask2FormerImageProcessorPil": {"size": {"height": SIDE_PX, "width": SIDE_PX}},
    "MobileNetV2ImageProcessorPil": {"size": {"shortest_edge": SIDE_PX}, "crop_size": {"height": 80, "width": 80}},
    "SamImageProcessorPil": {"size": {"longest_edge": SIDE_PX}, "pad_size": {"height": SIDE_PX, "width": SIDE_PX}},
    "SegformerImageProcessorPil": {"size": {"height": SIDE_PX, "width": SIDE_PX}},
}


@pytest.mark.parametrize("name", sorted(READ_RIGHT))
@pytest.mark.parametrize("size", [(300, 401), (131, 90), (64, 64)])
def test_the_steps_that_are_read_are_those_that_the_class_does(name: str, size: tuple[int, int], tmp_path: Path):
    processor = getattr(transformers, name)(**SETTINGS[name])
    processor.save_pretrained(tmp_path)
    pixels = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), np.uint8)
    expected = processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
    found = build_preprocess(steps_of_snapshot(tmp_path))(Image.fromarray(pixels)).numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-6  # inputs are within -3..3: a few units in the last place of float32


SQUARE = {"image_processor_type": "ViTImageProcessor", "resample": 2, "size": {"height": 384, "width": 384}}


def test_the_files_of_a_revision_are_read_as_a_snapshot_is():
    steps = steps_of_configurations({"preprocessor_config.json": SQUARE, "config.json": {"model_type": "vit"}})
    assert steps.resize is not None
    assert (steps.resize.mode, steps.resize.size_px, steps.interpolation) == ("exact", 384, "bilinear")
    assert (steps.crop_px, steps.mean, steps.pad) == (None, (0.5, 0.5, 0.5), None)  # ViTImageProcessor's defaults


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (SQUARE | {"image_processor_type": "EfficientNetImageProcessor"}, "a method of its own for _preprocess, resc"),
        (SQUARE | {"image_processor_type": "LevitImageProcessor"}, "a method of its own for resize"),
        (SQUARE | {"image_processor_type": "Qwen2VLImageProcessor"}, "a method of its own for preprocess"),
        ({**SQUARE, "image_processor_type": "Mask2FormerImageProcessor", "size": SHORT_LONG}, "to a multiple of 32"),
        ({**SQUARE, "image_processor_type": "SamImageProcessor", "size": {"longest_edge": 64}}, "pads to"),
        (SQUARE | {"image_processor_type": "NoSuchProcessor"}, "Unrecognized image processor"),
        (SQUARE | {"image_processor_type": 5}, "has no attribute"),
        (
            {"image_processor_type": "Studio", "auto_map": {"AutoImageProcessor": "studio/code--steps.Studio"}},
            "remote_",
        ),
        (SQUARE | {"size": {"height": 384, "width": 512}}, "expected the same height and width"),
        (SQUARE | {"size": None}, "has no attribute"),
        (SQUARE | {"size": []}, "index out of range"),
        (SQUARE | {"do_center_crop": True}, "has no attribute 'height'"),
        (SQUARE | {"rescale_factor": "half"}, "unsupported operand"),
        (SQUARE | {"image_mean": [0.5], "image_std": [0.5]}, "mean"),
    ],
    ids=str,
)
def test_steps_that_a_spec_cannot_state_are_not_read(content: dict[str, Any], reason: str):
    with pytest.raises(StepsUnreadable, match=reason):
        steps_of_configurations({"preprocessor_config.json": content})


def test_a_model_configuration_that_transformers_refuses_is_not_read():
    untyped = {name: value for name, value in SQUARE.items() if name != "image_processor_type"}
    configurations = {"preprocessor_config.json": untyped, "config.json": {"model_type": "clip", "projection_dim": "x"}}
    with pytest.raises(StepsUnreadable, match="projection_dim"):
        steps_of_configurations(configurations)


@pytest.mark.parametrize("key", [key for key, spec in PROJECT.specs.items() if spec.loader == "torchvision"])
def test_what_the_project_declares_is_what_torchvision_does(key: str):
    spec = project_spec(key)
    transforms = get_weight(spec.model_id.removeprefix("torchvision/")).transforms()
    assert require_same_steps(spec, steps_of_torchvision(transforms), "torchvision") is None  # raises where they differ


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 256}, "resize.size_px: declared 224, its own 256"),
        ({"size": {"height": 224, "width": 224}}, "resize.mode: declared shortest_side, its own exact"),
        ({"size": {"shortest_edge": 224, "longest_edge": 500}}, "resize.max_px: declared None, its own 500"),
        ({"resample": 2}, "interpolation: declared bicubic, its own bilinear"),
        ({"crop_size": 200}, "crop_px: declared 224, its own 200"),
        ({"do_center_crop": False}, "crop_px: declared 224, its own None"),
        ({"image_mean": [0.5, 0.5, 0.5]}, r"mean: declared \[0.48145466, .*\], its own \[0.5, 0.5, 0.5\]"),
        ({"do_normalize": False}, "std: declared .*, its own None"),
        ({"do_pad": True}, "pad: declared None, its own batch_right_bottom"),
        ({"do_resize": False}, "resize.mode: declared shortest_side, its own None"),
        ({"do_rescale": False}, "does not divide pixels by 255"),
        ({"rescale_factor": 1 / 127.5}, "does not divide pixels by 255"),
        ({"resample": 5}, "cannot be compared with the spec: resample 5 is none of"),
        ({"do_flip_channel_order": True}, "does what a spec cannot state: do_flip_channel_order"),
        ({"crop_size": {"height": 224, "width": 200}}, "expected the same height and width"),
    ],
    ids=str,
)
def test_a_step_that_differs_is_reported_with_both_values(change: dict[str, Any], message: str, tmp_path: Path):
    with pytest.raises(PreprocessingMismatch, match=message) as error:
        require_snapshots_steps(project_spec("clip_vit_base_patch32"), write(tmp_path, CLIP | change))
    assert str(error.value).startswith("clip_vit_base_patch32: ")
    assert "preprocessor_config.json" in str(error.value)


def test_the_reference_is_the_processor_that_comes_with_the_weights(tmp_path: Path):
    spec = changed(project_spec("clip_vit_base_patch32"), preprocessing={"reference": "timm"})
    with pytest.raises(PreprocessingMismatch, match="reference: declared timm, its own transformers_pillow"):
        require_snapshots_steps(spec, write(tmp_path, CLIP))


DEPARTURE = {"step": "resize.size_px", "own": 256, "reason": "The whole plate is to be seen."}


def test_a_departure_that_is_declared_is_accepted(tmp_path: Path):
    spec = changed(project_spec("clip_vit_base_patch32"), departures=[DEPARTURE])
    assert require_snapshots_steps(spec, write(tmp_path, CLIP | {"size": 256})) is None


def test_a_departure_from_another_value_is_refused(tmp_path: Path):
    spec = changed(project_spec("clip_vit_base_patch32"), departures=[DEPARTURE])
    with pytest.raises(PreprocessingMismatch, match="declared 224, its own 336"):
        require_snapshots_steps(spec, write(tmp_path, CLIP | {"size": 336}))


def test_a_departure_where_nothing_differs_is_refused(tmp_path: Path):
    spec = changed(project_spec("clip_vit_base_patch32"), departures=[{**DEPARTURE, "own": 224}])
    with pytest.raises(PreprocessingMismatch, match=r"size_px: a departure is declared and there is none"):
        require_snapshots_steps(spec, write(tmp_path, CLIP))


def test_a_snapshot_without_a_processor_is_accepted(tmp_path: Path):
    assert require_snapshots_steps(project_spec("clip_vit_base_patch32"), tmp_path) is None


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Spec]:
    return lambda name: MINIATURES[name](tmp_path / name, monkeypatch).spec


def test_a_model_whose_processor_differs_does_not_load(made: Callable[[str], Spec], tmp_path: Path):
    spec = made("dinov2")
    assert isinstance(load_model(spec), Embedder)
    folder = require_weights(spec).folder
    assert folder is not None
    content = json.loads((folder / "preprocessor_config.json").read_text())
    write(folder, content | {"resample": 2})
    with pytest.raises(PreprocessingMismatch, match="interpolation: declared bicubic, its own bilinear"):
        load_model(pinned(spec, folder, tmp_path))


def test_settings_that_are_saved_with_those_of_a_text_processor_are_compared_too(
    made: Callable[[str], Spec], tmp_path: Path
):
    """As `ProcessorMixin.save_pretrained` of transformers 5 saves them: one file, an object for each processor."""
    spec = made("clip, whole")
    folder = require_weights(spec).folder
    assert folder is not None
    content = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    joint = folder / "processor_config.json"
    joint.write_text(json.dumps({"processor_class": "CLIPProcessor", "image_processor": content}))
    assert isinstance(load_model(spec), Embedder)
    joint.write_text(json.dumps({"image_processor": content | {"resample": 2}}))
    with pytest.raises(
        PreprocessingMismatch, match=r"processor_config\.json: interpolation: declared bicubic, its own"
    ):
        load_model(spec)


def test_settings_of_a_text_processor_alone_are_no_steps(tmp_path: Path):
    (tmp_path / "processor_config.json").write_text('{"processor_class": "CLIPProcessor"}')
    assert require_snapshots_steps(project_spec("clip_vit_base_patch32"), tmp_path) is None


def test_a_pinned_processor_is_needed_and_verified(made: Callable[[str], Spec]):
    spec = made("dinov2")
    assert [report.status for report in verify_weights(spec)] == ["ok", "ok", "ok"]
    folder = require_weights(spec).folder
    assert folder is not None
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(WeightsMissing, match=r"preprocessor_config\.json is not on disk; .* pull dinov2_base"):
        load_model(spec)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("torchvision, vgg16_imagenet1k_v1", {"crop_rounding": None}, "crop_rounding: declared None, its own half_to"),
        ("torchvision, vgg16_imagenet1k_v1", {"interpolation": "bicubic"}, "its own bilinear"),
        ("open_clip, by name", {"mean": [0.5] * 3}, "than open_clip's transforms of it: mean: declared"),
        ("open_clip, by snapshot", {"crop_px": 150}, "crop_px: declared 150, its own 160"),
    ],
)
def test_a_librarys_own_transforms_are_compared_with_the_spec(
    name: str, change: dict[str, Any], message: str, made: Callable[[str], Spec]
):
    with pytest.raises(PreprocessingMismatch, match=message):
        load_model(changed(made(name), preprocessing=change))


def test_the_processors_that_are_pinned_are_those_whose_digest_is_known():
    found = {key for key in WRITTEN if "processor" in (content_of(key).get("weights") or {})}
    assert {"clip_vit_large_patch14", "dinov2_base", "siglip_so400m_patch14_384"} <= found
    assert all(content_of(key)["weights"]["processor"]["sha256"] for key in found)
