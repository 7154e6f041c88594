"""Tiny, seeded segmenters of real architectures instead of the pinned weights, and their specs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import WeightFile
from support.made_checkpoints import put_in_hub_cache, spread
from support.made_specs import project_spec

ON_CPU = Numeric(dtype="float32", device="cpu")
# Seeded weights give masks of low quality. Low thresholds keep most of them and still drop some.
LOOSE = {"points_per_side": 4, "points_per_batch": 7, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.05}


def tiny_mask2former(classes: int = 150) -> Mask2FormerForUniversalSegmentation:
    """The narrowest possible Swin and decoder, with as many classes as ADE20K."""
    backbone = SwinConfig.from_dict(
        {
            "image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2],
            "window_size": 2, "out_features": ["stage1", "stage2", "stage3", "stage4"],
        }
    )  # fmt: skip
    config = Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16, num_queries=12,
        id2label={number: f"class {number}" for number in range(classes)}, common_stride=4,
    )  # fmt: skip
    torch.manual_seed(7)
    return spread(Mask2FormerForUniversalSegmentation(config), 0.3)


def mask2former_spec(network: Any, cache: Path, patch: pytest.MonkeyPatch) -> Spec:
    spec = project_spec("mask2former_swin_large_ade").model_copy(update={"numeric": ON_CPU})
    return put_in_hub_cache(network, spec, cache, patch)


def pinned_spec(key: str, network: Any, folder: Path, patch: pytest.MonkeyPatch, **parameters: Any) -> Spec:
    """The project's spec of an idea without a digest, with this network's files and on the CPU."""
    spec = project_spec(key)
    weights: Any = spec.weights
    files = [WeightFile(path="model.safetensors", format="safetensors"), WeightFile(path="config.json", format="json")]
    update = {
        "weights": weights.model_copy(update={"files": files}),
        "numeric": Numeric(dtype="float32", device="cpu"),
        "parameters": {**spec.parameters, **LOOSE, **parameters},
    }
    return put_in_hub_cache(network, spec.model_copy(update=update), folder, patch)
