"""CLIP and DINOv2 embed as transformers does: tiny checkpoints take the whole way from spec to vector."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_checkpoints import SIDE_PX, clip_vision, dinov2, full_clip, pinned, put_in_hub_cache, snapshot_folder
from made_specs import project_spec, write_spec
from PIL import Image
from real_plates import one_of_each_family, wants_real_plates
from safetensors.torch import load_file, save_file
from transformers import BitImageProcessorPil, CLIPImageProcessorPil

from atlas_resources.images import decode
from atlas_resources.inference import Embedder, load_model
from atlas_resources.preprocessing import build_preprocess
from atlas_resources.registry import read_spec
from atlas_resources.specs import Resize, Spec
from atlas_resources.weights import WeightsMismatch, require_weights

RESIZED_PX = 64


def projected(network: Any, batch: torch.Tensor) -> torch.Tensor:
    """CLIP's image embedding by its parts: pooled vision output, then the projection."""
    return network.visual_projection(network.vision_model(pixel_values=batch).pooler_output)


def class_token(network: Any, batch: torch.Tensor) -> torch.Tensor:
    """DINOv2's class token after the final layer norm."""
    return network(pixel_values=batch).last_hidden_state[:, 0]


CLIP_PROCESSOR = CLIPImageProcessorPil(
    size={"shortest_edge": RESIZED_PX}, crop_size={"height": SIDE_PX, "width": SIDE_PX}
)
DINOV2_PROCESSOR = BitImageProcessorPil(
    size={"shortest_edge": RESIZED_PX},
    crop_size={"height": SIDE_PX, "width": SIDE_PX},
    image_mean=[0.485, 0.456, 0.406],
    image_std=[0.229, 0.224, 0.225],
)
# Each: the spec, the checkpoint, its vector's length, its processor, and what of the network is the vector.
CASES = {
    "full CLIP": ("clip_vit_base_patch32", full_clip, 24, CLIP_PROCESSOR, projected),
    "CLIP's vision tower": ("clip_vit_base_patch32", clip_vision, 24, CLIP_PROCESSOR, projected),
    "DINOv2": ("dinov2_base", dinov2, 32, DINOV2_PROCESSOR, class_token),
}


class Case:
    """A tiny model on disk, its spec as read from a file, and the reference."""

    def __init__(self, name: str, folder: Path, patch: pytest.MonkeyPatch):
        key, make, dim, self.processor, self._reference = CASES[name]
        self.network = make()
        spec = put_in_hub_cache(self.network, miniature(project_spec(key), dim), folder / "hub", patch)
        read = read_spec(write_spec(folder / "model_specs", spec.model_dump(mode="json")))
        assert isinstance(read, Spec), read
        self.spec = read
        self.dim = dim

    def embed(self, images: list[Image.Image]) -> np.ndarray:
        """The project's whole way: digests, loading, preprocessing, the model."""
        assert require_weights(self.spec).folder is not None
        model = load_model(self.spec)
        assert isinstance(model, Embedder)
        assert self.spec.preprocessing is not None
        preprocess = build_preprocess(self.spec.preprocessing)
        return model.embed(torch.stack([preprocess(image) for image in images]))

    def reference(self, images: list[Image.Image]) -> np.ndarray:
        """transformers' processor and the network that was saved, called directly, image by image."""
        with torch.inference_mode():
            inputs = [self.processor(image, return_tensors="pt")["pixel_values"] for image in images]
            return torch.cat([self._reference(self.network, batch) for batch in inputs]).numpy()


def miniature(spec: Spec, dim: int) -> Spec:
    """The project's spec at the tiny model's sizes; everything else as it stands."""
    assert spec.preprocessing is not None
    assert spec.output is not None
    resized = Resize(mode="shortest_side", size_px=RESIZED_PX)
    preprocessing = spec.preprocessing.model_copy(update={"resize": resized, "crop_px": SIDE_PX})
    output = spec.output.model_copy(update={"dim": dim})
    return spec.model_copy(update={"preprocessing": preprocessing, "output": output})


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(request.param, tmp_path, monkeypatch)


def drawn(count: int) -> list[Image.Image]:
    """Images of different sizes: soft noise over a ramp of colour."""
    images = []
    for number in range(count):
        random = np.random.default_rng(number)
        height, width = random.integers(60, 240, 2)
        ramp = np.linspace(0, 200, width)[None, :, None] * random.random(3)
        images.append(Image.fromarray((ramp + random.integers(0, 55, (height, width, 3))).astype(np.uint8)))
    return images


def relative_distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest L2 distance of a row from its reference, over the reference's length."""
    return float((np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())


def test_vectors_of_drawn_images_equal_the_reference(case: Case):
    images = drawn(8)
    vectors = case.embed(images)
    assert (vectors.dtype, vectors.shape) == (np.float32, (8, case.dim))
    assert relative_distance(vectors, case.reference(images)) < 1e-4


def test_different_images_have_different_vectors(case: Case):
    """So that the equality above says something."""
    vectors = case.embed(drawn(8))
    apart = np.linalg.norm(vectors[:, None] - vectors[None, :], axis=2) / np.linalg.norm(vectors, axis=1)
    assert apart[~np.eye(8, dtype=bool)].min() > 0.01


@wants_real_plates
def test_vectors_of_real_plates_equal_the_reference(case: Case):
    images = [decode(path).image for path in one_of_each_family()]
    assert relative_distance(case.embed(images), case.reference(images)) < 1e-4


def test_a_plate_has_the_same_vector_in_any_batch(case: Case):
    images = drawn(8)
    alone = np.concatenate([case.embed([image]) for image in images])
    assert relative_distance(case.embed(images), alone) < 1e-5


def test_vectors_are_raw(case: Case):
    """The spec says so; a normalised vector would have length 1."""
    lengths = np.linalg.norm(case.embed(drawn(2)), axis=1)
    assert (np.abs(lengths - 1) > 0.01).all()


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("full CLIP", "visual_projection.weight"),
        ("full CLIP", "vision_model.encoder.layers.1.mlp.fc1.bias"),
        ("DINOv2", "embeddings.cls_token"),
    ],
)
def test_a_checkpoint_that_lacks_a_weight_is_refused(
    name: str, lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """transformers alone would draw the missing weight at random and only log it."""
    case = Case(name, tmp_path, monkeypatch)
    spec = rewrite(case.spec, tmp_path / "hub", lambda weights: weights.pop(lost))
    with pytest.raises(WeightsMismatch, match=f"expected every weight of .*, found none for {lost}") as told:
        load_model(spec)
    assert str(snapshot_folder(spec, tmp_path / "hub")) in str(told.value)


def test_another_family_under_the_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A DINOv2 checkpoint where CLIP's is expected, under CLIP's configuration: not one weight fits."""
    clip = Case("full CLIP", tmp_path / "clip", monkeypatch)
    other = Case("DINOv2", tmp_path / "dinov2", monkeypatch)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "clip" / "hub"))
    clip_folder = snapshot_folder(clip.spec, tmp_path / "clip" / "hub")
    other_folder = snapshot_folder(other.spec, tmp_path / "dinov2" / "hub")
    shutil.copy(other_folder / "model.safetensors", clip_folder / "model.safetensors")
    with pytest.raises(
        WeightsMismatch, match=r"expected every weight of CLIPVisionModelWithProjection, .* and \d+ more"
    ):
        load_model(pinned(clip.spec, clip_folder))


def test_a_weight_of_another_shape_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    case = Case("full CLIP", tmp_path, monkeypatch)

    def cut(weights: dict[str, torch.Tensor]) -> None:
        weights["visual_projection.weight"] = weights["visual_projection.weight"][:12].clone()

    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        load_model(rewrite(case.spec, tmp_path / "hub", cut))


def rewrite(spec: Spec, cache: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Spec:
    """Changes the checkpoint on disk; gives the spec that pins the changed one."""
    folder = snapshot_folder(spec, cache)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return pinned(spec, folder)
