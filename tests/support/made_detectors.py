"""Tiny, seeded detectors of real architectures, saved by transformers."""

from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BertConfig,
    BertTokenizer,
    DetrConfig,
    DetrForObjectDetection,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    SwinConfig,
)

from atlas_resources.instruments.spec.input import Resize
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import WheelWeights
from atlas_resources.models.loaders.detectors.mtcnn import output_network, proposal_network, refinement_network
from atlas_resources.models.weights import weights_folder
from support.made_checkpoints import SEED, put_in_hub_cache, sha256_of, snapshot_folder, spread
from support.made_specs import project_spec

SHORT_PX, LONG_PX = 64, 96
BOXES = 20
# The model has these ids in its code: SPECIAL_TOKENS of modeling_grounding_dino.py, transformers 5.23.
BERT_IDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
WORDS = ("bird", "branch", "egg", "ne", "##st")


def drawn(count: int) -> list[Image.Image]:
    """Images of different sizes: soft noise over a ramp of colour."""
    images = []
    for number in range(count):
        random = np.random.default_rng(number)
        height, width = random.integers(60, 240, 2)
        ramp = np.linspace(0, 200, width)[None, :, None] * random.random(3)
        images.append(Image.fromarray((ramp + random.integers(0, 55, (height, width, 3))).astype(np.uint8)))
    return images


def detr() -> DetrForObjectDetection:
    """With timm's smallest ResNet where the real one has timm's ResNet-50."""
    torch.manual_seed(SEED)
    small: dict[str, Any] = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 2}
    small |= {f"{part}_{size}": 32 if size == "ffn_dim" else 4 for part in ("encoder", "decoder")
              for size in ("ffn_dim", "attention_heads")}  # fmt: skip
    labels = {number: f"thing {number}" for number in range(91)}
    backbone = {"use_timm_backbone": True, "backbone": "test_resnet"}
    config = DetrConfig.from_dict({**backbone, "num_queries": BOXES, "id2label": labels, **small})
    network = spread(DetrForObjectDetection(config), 0.3)
    with torch.no_grad():
        network.model.query_position_embeddings.weight.mul_(20)  # so that the queries find different things
        network.class_labels_classifier.weight.mul_(2)
        network.class_labels_classifier.bias.zero_()
    return network


def grounding_dino() -> GroundingDinoForObjectDetection:
    torch.manual_seed(SEED)
    config = GroundingDinoConfig(
        backbone_config=SwinConfig.from_dict(
            {"image_size": 64, "embed_dim": 16, "depths": [1] * 4, "num_heads": [2] * 4, "window_size": 4,
             "out_indices": [2, 3, 4]}
        ),
        text_config=BertConfig(
            vocab_size=1100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=256,
        ),
        d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        encoder_attention_heads=2, decoder_attention_heads=2, num_queries=BOXES, disable_custom_kernels=True,
    )  # fmt: skip
    network = spread(GroundingDinoForObjectDetection(config), 0.05)
    with torch.no_grad():
        for weight in network.model.decoder.layer_norm.parameters():
            weight.mul_(0.1)  # otherwise all scores would be 0 or 1
    return network


def bert_tokenizer() -> BertTokenizer:
    """A few words of BERT's vocabulary; `nest` is two of its pieces."""
    ids = BERT_IDS | {word: 1040 + number for number, word in enumerate(WORDS)}
    names = {number: name for name, number in ids.items()}
    return BertTokenizer(vocab={names.get(number, f"[unused{number}]"): number for number in range(1100)})


def miniature_detector(spec: Spec, **parameters: float) -> Spec:
    """The project's spec at the tiny model's sizes, on the CPU; all else is unchanged."""
    assert spec.preprocessing is not None
    assert spec.output is not None
    assert spec.numeric is not None
    resize = Resize(mode="shortest_side", size_px=SHORT_PX, max_px=LONG_PX)
    changes = {
        "preprocessing": spec.preprocessing.model_copy(update={"resize": resize}),
        "output": spec.output.model_copy(update={"max_boxes": BOXES}),
        "numeric": spec.numeric.model_copy(update={"device": "cpu"}),
        "parameters": parameters,
    }
    return spec.model_copy(update=changes)


def put_detector_in_hub_cache(network: Any, spec: Spec, cache: Path, patch: pytest.MonkeyPatch) -> Spec:
    """Saves the network in the place of the spec's snapshot, with a tokenizer if the spec has prompts."""
    placed = put_in_hub_cache(network, spec, cache, patch)
    if spec.prompts:
        bert_tokenizer().save_pretrained(snapshot_folder(spec, cache))
    return placed


def seeded_mtcnn(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    """MTCNN with weights drawn at random, in the pinned files' layout, and thresholds that let boxes pass."""
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    spec = project_spec("mtcnn_faces")
    thresholds = {"first_threshold": 0.45, "second_threshold": 0.3, "third_threshold": 0.3}
    spec = spec.model_copy(update={"parameters": {**spec.parameters, **thresholds}})
    assert isinstance(spec.weights, WheelWeights)
    root = weights_folder(spec.weights)
    torch.manual_seed(5)
    files = []
    for file, build in zip(spec.weights.files, (proposal_network, refinement_network, output_network), strict=True):
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(build().state_dict(), path)
        files.append(file.model_copy(update={"sha256": sha256_of(path), "size_bytes": None}))
    return spec.model_copy(update={"weights": spec.weights.model_copy(update={"files": files})})
