"""Every loader that computes on a GPU, over tiny seeded weights: on which device, what is computed, and how near.

The code is the same for every device. `tests/gpu` compares a GPU with the CPU, and a unit test runs it on the CPU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from transformers import LogitsProcessor

from atlas_resources.instruments.prompts import read_prompts
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models._numeric_modes import numeric_mode
from atlas_resources.models.loaders.segmenters.u2net import U2NetNetwork
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Question, Scorer
from atlas_resources.models.weights import weights_folder
from support import made_detectors, made_readers
from support.made_checkpoints import (
    clip_of_letters,
    letters,
    pinned,
    put_in_hub_cache,
    put_in_torch_hub,
    snapshot_folder,
    spread,
    tiny_hub_sam,
    tiny_sam,
    tiny_sam_hq,
    use_tiny_sam,
)
from support.made_describers import (
    CHATS,
    MadeDescriber,
    made_blip,
    made_blip2_opt,
    made_blip2_t5,
    made_florence,
)
from support.made_instruments import MINIATURES
from support.made_segmenters import mask2former_spec, pinned_spec, tiny_mask2former
from support.made_specs import project_spec
from support.made_text_towers import biomedclip_tower, siglip_tower

CPU_ONLY = {"mtcnn", "onnx", "otsu_luma", "ppocr", "tesseract", "pruning", "palette", "outline"}
"""Loaders that compute on the CPU whatever is declared, or refuse another device."""
FLOAT32 = 1e-4
"""Largest distance between the results of a GPU and a CPU in float32, over their length. Both round each operation to
2**-24 and add in another order. The same bar as between a loader and its reference library on the CPU."""
DEEP = 1e-3
"""The same for networks whose outputs are differences of large numbers, such as logits of seeded masks."""

Make = Callable[[Path, pytest.MonkeyPatch], Spec]
Compute = Callable[[Any, Spec], list[np.ndarray]]


@dataclass(frozen=True)
class Case:
    """A loader over tiny weights.

    Attributes:
        make: puts the weights on disk and returns their spec, for the CPU.
        compute: what a loaded model computes of drawn images, as float arrays.
        tolerance: of the relative distance between devices, in float32.
    """

    make: Make
    compute: Compute
    tolerance: float = FLOAT32


def on(spec: Spec, device: str, **numeric: Any) -> Spec:
    """The spec on another class of device, or in another mode there."""
    assert spec.numeric is not None
    return spec.model_copy(update={"numeric": spec.numeric.model_copy(update={"device": device, **numeric})})


def load_on(spec: Spec) -> Any:
    return load_model(spec, read_prompts().asked(spec.prompts or []))


def result_of(case: Case, spec: Spec) -> list[np.ndarray]:
    """Loads the spec's model and computes."""
    return case.compute(load_on(spec), spec)


def distance(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Largest relative L2 distance of an array from its reference."""
    assert [array.shape for array in found] == [array.shape for array in expected]
    return max(
        float(np.linalg.norm(one - other) / np.linalg.norm(other)) for one, other in zip(found, expected, strict=True)
    )


def raster() -> np.ndarray:
    """uint8 [64, 64, 3]: a dark disc on noisy paper."""
    rows, columns = np.mgrid[:64, :64]
    pixels = np.random.default_rng(3).integers(215, 240, (64, 64, 3)).astype(np.uint8)
    pixels[(rows - 20) ** 2 + (columns - 24) ** 2 < 150] = (25, 25, 30)
    return pixels


def _inputs(spec: Spec) -> list[torch.Tensor]:
    assert spec.preprocessing is not None
    preprocess = build_preprocess(spec.preprocessing)
    return [preprocess(image) for image in made_detectors.drawn(4)]


def of_images(model: Any, spec: Spec) -> list[np.ndarray]:
    """Vectors, or logits and scores."""
    batch = torch.stack(_inputs(spec))
    return list(model.score(batch)) if isinstance(model, Scorer) else [model.embed(batch)]


def of_vectors(model: Any, spec: Spec) -> list[np.ndarray]:
    """Ratings of vectors."""
    return [model.score(torch.randn(8, 768, generator=torch.Generator().manual_seed(7)))[0]]


def of_texts(model: Any, spec: Spec) -> list[np.ndarray]:
    """Vectors of words, and scores of vectors by the pinned prompts."""
    words = model.embed_text(["a bird", "an egg in a nest"])
    return [words, *model.score(torch.eye(words.shape[1])[:4])]


@torch.inference_mode()
def of_lines(model: Any, spec: Spec) -> list[np.ndarray]:
    """Logits of four lines for tokens that are given: the likeliest token may be nearly as likely as another."""
    images = torch.stack(_inputs(spec)).to(model.network.device)
    tokens = torch.arange(4, device=images.device).repeat(len(images), 1) + 5
    return [model.network(pixel_values=images, decoder_input_ids=tokens).logits.float().cpu().numpy()]


def of_boxes(model: Any, spec: Spec) -> list[np.ndarray]:
    """Corners and scores of every query, as the thresholds are 0."""
    found = [model.detect(image) for image in _inputs(spec)]
    corners = np.array([[box.corners for box in boxes] for boxes in found])
    return [corners, np.array([[box.score for box in boxes] for boxes in found])]


@torch.inference_mode()
def of_points(model: Any, spec: Spec) -> list[np.ndarray]:
    """Mask logits and predicted IoU of points: masks themselves turn over where a logit is near a threshold."""
    assert len(model.segment(raster())) > 1
    sam = model.model
    points = np.array([[20, 24], [50, 50], [10, 60]], dtype=sam.point_dtype)
    with numeric_mode(spec.numeric, str(sam.device)):
        decoded = sam.decode(sam.embed(raster()), points)
        logits = decoded.draw(torch.ones_like(decoded.predicted_iou, dtype=torch.bool))
        return [found.float().cpu().numpy() for found in (logits, decoded.predicted_iou)]


@torch.inference_mode()
def of_classes(model: Any, spec: Spec) -> list[np.ndarray]:
    """Logits of masks and classes."""
    assert len(model.segment(np.tile(raster(), (6, 6, 1)))) > 1
    pixels = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(1)).to(model.device)
    with numeric_mode(spec.numeric, model.device):
        output = model.network(pixel_values=pixels)
    return [output.masks_queries_logits.cpu().numpy(), output.class_queries_logits.cpu().numpy()]


@torch.inference_mode()
def of_saliency(model: Any, spec: Spec) -> list[np.ndarray]:
    """The saliency of a raster before its threshold."""
    assert len(model.segment(raster())) == 1
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)).to(model.device)
    with numeric_mode(spec.numeric, model.device):
        return [model.network(pixels).cpu().numpy()]


class Keeps(LogitsProcessor):
    """Keeps the scores that a model gives each next token."""

    def __init__(self) -> None:
        self.scores: list[np.ndarray] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.scores.append(scores.float().cpu().numpy())
        return scores


def of_answers(words: str, model: Any, spec: Spec) -> list[np.ndarray]:
    """Scores of the first token: later ones follow from which is likeliest, which may turn over."""
    keeps, write = Keeps(), model.writer.write
    model.writer.write = lambda sheet, question, _=None: write(sheet, question, keeps)
    (answer,) = model.describe(raster(), [Question(text=words)])
    assert answer.output_token_count
    return keeps.scores[:1]


def _describer(make: Callable[..., MadeDescriber], folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    return make(folder, patch).spec


def _miniature(name: str, folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    return MINIATURES[name](folder, patch).spec


def _packaged(key: str, folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    """The real weights, which come with a package."""
    return project_spec(key)


def _head(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    spec: Any = project_spec("aesthetics_v1_vit_large_patch14")
    place = weights_folder(spec.weights)
    path = place / spec.weights.files[0].path
    path.parent.mkdir(parents=True)
    torch.manual_seed(7)
    torch.save(torch.nn.Linear(768, 1).state_dict(), path)
    return pinned(on(spec, "cpu"), place)


def _text_tower(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    spec = on(project_spec("clip_vit_base_patch32_prompts"), "cpu")
    placed = put_in_hub_cache(clip_of_letters(), spec, folder, patch)
    letters().save_pretrained(snapshot_folder(spec, folder))
    return placed


def _detector(key: str, build: Callable[[], Any], thresholds: dict[str, float], folder: Path, patch: Any) -> Spec:
    spec = made_detectors.miniature_detector(project_spec(key), **thresholds)
    return made_detectors.put_detector_in_hub_cache(build(), spec, folder, patch)


def _hub_sam(key: str, build: Callable[[], Any], folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    return pinned_spec(key, build(), folder, patch, stability_score_thresh=0.0, box_nms_thresh=1.0)


def _segment_anything(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    use_tiny_sam(patch)
    spec = on(project_spec("sam_vit_base"), "cpu")
    loose = {"points_per_side": 3, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0}
    spec = spec.model_copy(update={"parameters": {**spec.parameters, **loose}})
    return put_in_torch_hub(spread(tiny_sam(), 0.5), spec, folder, patch)


def _mask2former(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    return mask2former_spec(tiny_mask2former(), folder, patch)


def _u2net(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    """As large as the real one."""
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    spec = on(project_spec("u2net"), "cpu")
    place = snapshot_folder(spec, folder)
    place.mkdir(parents=True)
    torch.manual_seed(7)
    torch.save(U2NetNetwork().state_dict(), place / "full_weights.pth")
    return pinned(spec, place)


def _reader(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    return made_readers.put_reader_in_hub_cache(made_readers.trocr(), made_readers.reader_spec(), folder, patch)


WORDS = {"box_threshold": 0.0, "text_threshold": 0.0}
CASES: dict[str, Case] = {
    **{name: Case(partial(_miniature, name), of_images) for name in MINIATURES},
    "efficientnet_lite0": Case(partial(_packaged, "efficientnet_lite0"), of_images),
    "efficientnet_lite2, probe": Case(partial(_packaged, "efficientnet_lite2_imagenet"), of_images),
    "aesthetic_head": Case(_head, of_vectors),
    "clip_prompts": Case(_text_tower, of_texts),
    "siglip_prompts": Case(lambda folder, patch: siglip_tower(folder, patch).spec, of_texts),
    "open_clip_prompts": Case(lambda folder, patch: biomedclip_tower(folder, patch).spec, of_texts),
    "detr": Case(partial(_detector, "detr_resnet50", made_detectors.detr, {"threshold": 0.0}), of_boxes, DEEP),
    "grounding_dino": Case(
        partial(_detector, "grounding_dino_base", made_detectors.grounding_dino, WORDS), of_boxes, DEEP
    ),
    "trocr": Case(_reader, of_lines, DEEP),
    "sam": Case(partial(_hub_sam, "sam_vit_base_hub", tiny_hub_sam), of_points, DEEP),
    "sam_hq": Case(partial(_hub_sam, "sam_hq_vit_huge", tiny_sam_hq), of_points, DEEP),
    "segment_anything": Case(_segment_anything, of_points, DEEP),
    "mask2former": Case(_mask2former, of_classes, DEEP),
    "u2net": Case(_u2net, of_saliency, DEEP),
    "blip": Case(partial(_describer, made_blip), partial(of_answers, "a bird"), DEEP),
    "blip2, OPT": Case(partial(_describer, made_blip2_opt), partial(of_answers, "a bird"), DEEP),
    "blip2, T5": Case(partial(_describer, made_blip2_t5), partial(of_answers, "a bird"), DEEP),
    "florence2": Case(partial(_describer, made_florence), partial(of_answers, ""), DEEP),
    **{
        f"chat, {name}": Case(partial(_describer, make), partial(of_answers, "what bird"), DEEP)
        for name, make in CHATS.items()
    },
}
