"""CLIP's text tower, loaded by transformers: texts compared with image vectors that another instrument has sealed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import CLIPModel, CLIPTokenizer

from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.loaders.scorers._text_towers import tower_or_scorer
from atlas_resources.models.protocols import TextEmbedder
from atlas_resources.models.weights import LocatedWeights


class ClipText:
    """Embeds texts in the space of CLIP's two towers."""

    def __init__(self, network: Any, tokenizer: CLIPTokenizer, device: str):
        self.network = network
        self.tokenizer = tokenizer
        self.device = device

    @torch.inference_mode()
    def embed_text(self, texts: list[str]) -> np.ndarray:
        """Returns the projected text embeddings, not normalised: float32 [N, dim]. Too long texts are truncated."""
        inputs = self.tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=self.network.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        features = self.network.get_text_features(**inputs.to(self.device))
        return features.pooler_output.float().cpu().numpy()


def load(spec: Spec, weights: LocatedWeights, device: str, prompts: Sequence[AskedPrompt]) -> TextEmbedder:
    """Loads the pinned snapshot and its tokenizer.

    Logits are cosines times the model's scale, as `logits_per_image` of CLIPModel in transformers 5.23; scores are
    their softmax over the prompts of each set, as in its zero-shot-image-classification pipeline.

    Raises:
        WeightsMismatch: see `_snapshots.load_whole`.
        ValueError: see `_text_towers.tower_or_scorer`.
    """
    network: Any = load_whole(CLIPModel, spec, weights).eval().to(device)
    tokenizer = CLIPTokenizer.from_pretrained(str(weights.folder), local_files_only=True)
    tower = ClipText(network, tokenizer, device)
    return tower_or_scorer(spec, tower, prompts, scale=float(network.logit_scale.detach().exp()))
