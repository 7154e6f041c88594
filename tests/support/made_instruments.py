"""Instruments in miniature: each loader's spec with a tiny, pinned checkpoint on disk, and its reference results.

A new loader of embeddings or probes must be added here, as a function from a folder to a `Miniature`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.models import _registry as timm_registry
from torchvision.models import _api as torchvision_registry
from torchvision.models import get_weight
from transformers import (
    BitImageProcessorPil,
    CLIPImageProcessorPil,
    ConvNextImageProcessorPil,
    SiglipImageProcessorPil,
    ViTImageProcessorPil,
    pipeline,
)

from atlas_resources.instruments.admission import missing_for_admission
from atlas_resources.instruments.registry import read_spec
from atlas_resources.instruments.spec.spec import Spec
from support import tiny_networks as tiny
from support.made_checkpoints import SIDE_PX, clip_vision, dinov2, full_clip, sha256_of, snapshot_folder
from support.made_specs import project_spec, write_spec

RESIZED_PX = 64
IMAGENET: dict[str, Any] = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
Images = list[Image.Image]


@dataclass(frozen=True)
class Miniature:
    """An instrument with tiny weights instead of the real ones, and its reference.

    Attributes:
        spec: as read from a file, admitted.
        reference: vectors, or logits, float32 [N, dim], by the reference library with its own preprocessing.
        labels: a probe's labels, in the reference's order.
        scores: a probe's scores by the reference, float32 [N, labels].
    """

    spec: Spec
    reference: Callable[[Images], np.ndarray]
    labels: list[str] | None = None
    scores: Callable[[Images], np.ndarray] | None = None


def changed(spec: Spec, **fields: Any) -> Spec:
    """The spec with nested fields replaced: `preprocessing={"crop_px": 56}`."""
    content = spec.model_dump(mode="json")
    for name, change in fields.items():
        content[name] = (content.get(name) or {}) | change if isinstance(change, dict) else change
    return Spec.model_validate(content)


def small(spec: Spec, dim: int, resized_px: int = RESIZED_PX, **steps: Any) -> Spec:
    """The project's spec at a tiny model's sizes, on the CPU; all else is unchanged."""
    assert spec.preprocessing is not None
    assert spec.preprocessing.resize is not None
    resize = {"mode": spec.preprocessing.resize.mode, "size_px": resized_px}
    crop = {"crop_px": SIDE_PX} if spec.preprocessing.crop_px else {}
    steps = {"resize": resize, **crop, **steps}
    return changed(spec, output={"dim": dim}, preprocessing=steps, numeric={"dtype": "float32", "device": "cpu"})


def pinned(spec: Spec, folder: Path, scratch: Path) -> Spec:
    """The spec with the digests of the files in the folder, written to a file and read again."""
    content = spec.model_dump(mode="json")
    content["configuration"] = None
    for file in content["weights"]["files"]:
        file |= {"sha256": sha256_of(folder / file["path"]), "size_bytes": None}
    if "processor" in content["weights"]:
        content["weights"]["processor"]["sha256"] = sha256_of(folder / "preprocessor_config.json")
    read = read_spec(write_spec(scratch / "model_specs", content))
    assert isinstance(read, Spec), read
    assert missing_for_admission(read) == []
    return read


def in_snapshot(spec: Spec, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Makes the empty folder of the spec's snapshot."""
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hub"))
    snapshot = snapshot_folder(spec, folder / "hub")
    snapshot.mkdir(parents=True)
    return snapshot


def one_by_one(processor: Any, vectors: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Images], np.ndarray]:
    """transformers' processor and the network in memory, image by image."""

    @torch.inference_mode()
    def reference(images: Images) -> np.ndarray:
        inputs = [processor(image, return_tensors="pt")["pixel_values"] for image in images]
        return torch.cat([vectors(batch) for batch in inputs]).numpy()

    return reference


@dataclass(frozen=True)
class Hub:
    """A network and a processor of transformers, the vector's length, and the function that computes the vector."""

    build: Callable[[], Any]
    dim: int
    processor: Any
    vectors: Callable[[Any, torch.Tensor], torch.Tensor]
    resized_px: int = RESIZED_PX


def of_hub(key: str, given: Hub, folder: Path, patch: pytest.MonkeyPatch) -> Miniature:
    """Network and processor are each saved by their own `save_pretrained`."""
    network, processor = given.build(), given.processor
    spec = small(project_spec(key), given.dim, given.resized_px)
    snapshot = in_snapshot(spec, folder, patch)
    network.save_pretrained(snapshot)
    processor.save_pretrained(snapshot)
    return Miniature(pinned(spec, snapshot, folder), one_by_one(processor, partial(given.vectors, network)))


def square(side_px: int) -> dict[str, int]:
    return {"height": side_px, "width": side_px}


CLIP = CLIPImageProcessorPil(size={"shortest_edge": RESIZED_PX}, crop_size=square(SIDE_PX))
BIT = BitImageProcessorPil(size={"shortest_edge": RESIZED_PX}, crop_size=square(SIDE_PX), **IMAGENET)
SIGLIP = SiglipImageProcessorPil(size=square(SIDE_PX))


def projected(network: Any, batch: torch.Tensor) -> torch.Tensor:
    """CLIP's image embedding by its parts: pooled vision output, then the projection."""
    return network.visual_projection(network.vision_model(pixel_values=batch).pooler_output)


def class_token(network: Any, batch: torch.Tensor) -> torch.Tensor:
    """DINOv2's class token after the final layer norm."""
    return network(pixel_values=batch).last_hidden_state[:, 0]


def image_features(network: Any, batch: torch.Tensor) -> torch.Tensor:
    """SigLIP's own name for its image embedding."""
    return network.get_image_features(pixel_values=batch).pooler_output


def aimv2(folder: Path, patch: pytest.MonkeyPatch) -> Miniature:
    """Saved in the authors' layout, as at their pin; the reference is transformers' implementation, not timm's."""
    patch.setitem(timm_registry._model_entrypoints, "aimv2_large_patch14_336", tiny.tiny_aimv2)
    network = tiny.aimv2()
    spec = small(project_spec("aimv2_large_patch14_336"), 32, SIDE_PX)
    snapshot = in_snapshot(spec, folder, patch)
    original = tiny.in_the_authors_layout(network.state_dict())
    save_file({name: value.contiguous() for name, value in original.items()}, snapshot / "model.safetensors")
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_size=square(SIDE_PX))
    mean = one_by_one(processor, lambda batch: network(pixel_values=batch).last_hidden_state.mean(dim=1))
    return Miniature(pinned(spec, snapshot, folder), mean)


@dataclass(frozen=True)
class Torchvision:
    """A network of torchvision, the submodule that gives the feature map, and its channels."""

    build: Callable[[], Any]
    feature: str
    dim: int


def of_torchvision(key: str, given: Torchvision, folder: Path, patch: pytest.MonkeyPatch) -> Miniature:
    """torchvision's own class under the real name; the reference is its own transforms and a hook on the feature."""
    build = given.build
    spec = changed(project_spec(key), output={"dim": given.dim}, numeric={"dtype": "float32", "device": "cpu"})
    own = get_weight(spec.model_id.removeprefix("torchvision/"))
    name = type(own).__name__.removesuffix("_Weights").lower()  # EfficientNet_B0_Weights are of efficientnet_b0
    assert name in torchvision_registry.BUILTIN_MODELS
    patch.setitem(torchvision_registry.BUILTIN_MODELS, name, lambda **options: build())
    patch.setenv("TORCH_HOME", str(folder))
    checkpoints = folder / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    network = tiny.filled(build)
    torch.save(network.state_dict(), checkpoints / own.url.rpartition("/")[2])
    seen: list[torch.Tensor] = []
    network.get_submodule(given.feature).register_forward_hook(lambda module, given, output: seen.append(output))

    @torch.inference_mode()
    def reference(images: Images) -> np.ndarray:
        seen.clear()
        for image in images:
            network(own.transforms()(image)[None])
        return torch.cat([output.mean(dim=(2, 3)) for output in seen]).numpy()

    return Miniature(pinned(spec, checkpoints, folder), reference)


def of_open_clip(network: Any, transform: Any) -> Callable[[Images], np.ndarray]:
    @torch.inference_mode()
    def reference(images: Images) -> np.ndarray:
        return torch.cat([network.encode_image(transform(image)[None]) for image in images]).numpy()

    return reference


def open_clip_by_name(folder: Path, patch: pytest.MonkeyPatch) -> Miniature:
    """open_clip's own vision transformer, under the name of ViT-H-14."""
    patch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-H-14", tiny.OPEN_CLIP_SIZES)
    spec = small(project_spec("clip_vit_huge_patch14_laion2b"), 24, SIDE_PX)
    snapshot = in_snapshot(spec, folder, patch)
    network = tiny.seeded(lambda: open_clip.create_model("ViT-H-14"))
    path = snapshot / "open_clip_model.safetensors"
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    found: Any = open_clip.create_model_from_pretrained("ViT-H-14", pretrained=str(path))
    loaded, transform = found
    return Miniature(pinned(spec, snapshot, folder), of_open_clip(loaded.eval(), transform))


def open_clip_by_snapshot(folder: Path, patch: pytest.MonkeyPatch) -> Miniature:
    """A vision tower of timm and a text tower of transformers, as in BiomedCLIP; images are 160 px square."""
    spec = small(project_spec("biomedclip"), 24, 160, crop_px=160)
    snapshot = in_snapshot(spec, folder, patch)
    tiny.bert().save_pretrained(folder / "bert")
    vision = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160}
    text = {"hf_model_name": str(folder / "bert"), "hf_proj_type": "mlp"}
    means = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    sizes = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    configuration = {"model_cfg": sizes, "preprocess_cfg": means}
    (snapshot / "open_clip_config.json").write_text(json.dumps(configuration), encoding="utf-8")
    at_random = f"local-dir:{snapshot}"
    network = tiny.seeded(lambda: open_clip.create_model(at_random, load_weights=False))
    torch.save(network.state_dict(), snapshot / "open_clip_pytorch_model.bin")
    found: Any = open_clip.create_model_from_pretrained(at_random)
    loaded, transform = found
    return Miniature(pinned(spec, snapshot, folder), of_open_clip(loaded.eval(), transform))


EXACT = {"resize": {"mode": "exact", "size_px": SIDE_PX}}
CROPPED = {"resize": {"mode": "shortest_side", "size_px": RESIZED_PX}, "crop_px": SIDE_PX}
HALF = {"mean": [0.5] * 3, "std": [0.5] * 3}
MEANS = {"mean": IMAGENET["image_mean"], "std": IMAGENET["image_std"]}
CONVNEXT = ConvNextImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_pct=SIDE_PX / RESIZED_PX, **IMAGENET)
SWIN = ViTImageProcessorPil(size=square(SIDE_PX), resample=3, **IMAGENET)
# Each: the steps as a spec declares them, and the processor that does the same.
STEPS: dict[str, tuple[dict[str, Any], Any]] = {
    "convnext": ({**CROPPED, "interpolation": "bicubic", **MEANS}, CONVNEXT),
    "resnet": ({**CROPPED, "interpolation": "bicubic", **MEANS}, CONVNEXT),
    "vit": ({**EXACT, "interpolation": "bilinear", **HALF}, ViTImageProcessorPil(size=square(SIDE_PX))),
    "swin": ({**EXACT, "interpolation": "bicubic", **MEANS}, SWIN),
    "siglip": ({**EXACT, "interpolation": "bicubic", **HALF}, SIGLIP),
}
DECLARED = {
    "numeric": {"dtype": "float32", "device": "cpu"},
    "failure_modes": [{"fact": "Its weights are drawn at random.", "source": "tiny_networks.py"}],
}
PILLOW = {"raster": "source", "colour_policy": "srgb8-v2", "backend": "pillow", "reference": "transformers_pillow"}
FILES = [{"path": "model.safetensors", "format": "safetensors"}, {"path": "config.json", "format": "json"}]


def classifier(family: str, folder: Path, patch: pytest.MonkeyPatch) -> Miniature:
    """A classifier with its labels in config.json; the reference is transformers' own pipeline."""
    steps, processor = STEPS[family]
    spec = project_spec("wikiart_convnext_tiny")
    output = {"count": len(tiny.LABELS)}
    spec = changed(spec, **DECLARED, output=output, weights={"files": FILES}, preprocessing={**PILLOW, **steps})
    snapshot = in_snapshot(spec, folder, patch)
    network = tiny.classifier(family)
    network.save_pretrained(snapshot)
    processor.save_pretrained(snapshot)
    classify = pipeline("image-classification", model=network, image_processor=processor, device="cpu")

    def by_label(images: Images, function: str | None) -> np.ndarray:
        rows = [classify(image, top_k=len(tiny.LABELS), function_to_apply=function) for image in images]
        scores = [{found["label"]: found["score"] for found in row} for row in rows]
        return np.array([[row[label] for label in tiny.LABELS] for row in scores], dtype=np.float32)

    return Miniature(
        pinned(spec, snapshot, folder),
        reference=lambda images: by_label(images, "none"),
        labels=tiny.LABELS,
        scores=lambda images: by_label(images, None),
    )


RESNET = Torchvision(tiny.resnet50, "avgpool", 2048)
EFFICIENTNET = Torchvision(tiny.efficientnet, "avgpool", 96)
CONVNEXT_IN_TORCHVISION = Torchvision(tiny.convnext, "classifier.0", 32)
OF_TORCHVISION = {
    "resnet50_imagenet1k_v1": RESNET,
    "resnet50_imagenet1k_v2": RESNET,
    "vgg16_imagenet1k_v1": Torchvision(tiny.vgg16, "features", 16),
    "efficientnet_b0_imagenet1k_v1": EFFICIENTNET,
    "efficientnet_b4_imagenet1k_v1": EFFICIENTNET,
    "convnext_tiny_imagenet1k_v1": CONVNEXT_IN_TORCHVISION,
    "convnext_small_imagenet1k_v1": CONVNEXT_IN_TORCHVISION,
}
MINIATURES: dict[str, Callable[[Path, pytest.MonkeyPatch], Miniature]] = {
    "clip, whole": partial(of_hub, "clip_vit_base_patch32", Hub(full_clip, 24, CLIP, projected)),
    "clip, vision tower": partial(of_hub, "clip_vit_base_patch32", Hub(clip_vision, 24, CLIP, projected)),
    "dinov2": partial(of_hub, "dinov2_base", Hub(dinov2, 32, BIT, class_token)),
    "siglip": partial(of_hub, "siglip_so400m_patch14_384", Hub(tiny.siglip, 32, SIGLIP, image_features, SIDE_PX)),
    "aimv2": aimv2,
    "open_clip, by name": open_clip_by_name,
    "open_clip, by snapshot": open_clip_by_snapshot,
    **{f"torchvision, {key}": partial(of_torchvision, key, given) for key, given in OF_TORCHVISION.items()},
    **{f"image_classifier, {family}": partial(classifier, family) for family in STEPS},
}
