"""SigLIP's text tower, loaded by transformers: texts compared with image vectors that another instrument has sealed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import SiglipModel, SiglipTokenizer

from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.loaders.scorers._text_towers import SIGMOID, tower_or_scorer
from atlas_resources.models.protocols import TextEmbedder
from atlas_resources.models.weights import LocatedWeights


class SiglipText:
    """Embeds texts in the space of SigLIP's two towers."""

    def __init__(self, network: Any, tokenizer: SiglipTokenizer, device: str):
        self.network = network
        self.tokenizer = tokenizer
        self.device = device

    @torch.inference_mode()
    def embed_text(self, texts: list[str]) -> np.ndarray:
        """Returns the pooled text features, not normalised: float32 [N, dim].

        The tokenizer lower-cases and removes punctuation. Every text is padded to the network's full length, as the
        tower was trained; longer ones are truncated. Padding is masked only if the pinned tokenizer_config.json says
        so.
        """
        inputs = self.tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=self.network.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        features = self.network.get_text_features(**inputs.to(self.device))
        return features.pooler_output.float().cpu().numpy()


def load(spec: Spec, weights: LocatedWeights, device: str, prompts: Sequence[AskedPrompt]) -> TextEmbedder:
    """Loads the pinned snapshot and its sentencepiece tokenizer.

    Logits are cosines times the model's scale plus its bias, as `logits_per_image` of SiglipModel in transformers 5.23;
    scores are their sigmoid, each by itself, as in its zero-shot-image-classification pipeline.

    Raises:
        WeightsMismatch: see `_snapshots.load_whole`.
        ValueError: see `_text_towers.tower_or_scorer`.
    """
    network: Any = load_whole(SiglipModel, spec, weights).eval().to(device)
    tokenizer = SiglipTokenizer.from_pretrained(str(weights.folder), local_files_only=True)
    scale, bias = float(network.logit_scale.detach().exp()), float(network.logit_bias.detach())
    tower = SiglipText(network, tokenizer, device)
    return tower_or_scorer(spec, tower, prompts, scale=scale, bias=bias, activation=SIGMOID)
