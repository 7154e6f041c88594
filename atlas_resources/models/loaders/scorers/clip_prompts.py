"""CLIP's text tower, loaded by transformers: texts compared with image vectors that another instrument has sealed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import CLIPModel, CLIPTokenizer

from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.output import ScoresOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.protocols import Label
from atlas_resources.models.weights import LocatedWeights


class ClipPrompts:
    """Compares images with texts in the space of CLIP's two towers."""

    def __init__(self, network: Any, tokenizer: CLIPTokenizer, device: str, prompts: Sequence[AskedPrompt]):
        self.network = network
        self.tokenizer = tokenizer
        self.device = device
        self.labels = [Label(prompt.id, prompt.text, prompt) for prompt in prompts]
        self.scale = float(network.logit_scale.detach().exp())
        self._words = _unit(torch.from_numpy(self.embed_text([prompt.text for prompt in prompts])))

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

    def cosines(self, batch: torch.Tensor) -> np.ndarray:
        """Returns the cosines with the prompts, float32 [N, prompts], for raw image vectors float32 [N, dim]."""
        return (_unit(batch) @ self._words.T).float().numpy()

    def score(self, batch: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Returns the cosines times the model's logit scale, and their softmax over the prompts of each set.

        As `logits_per_image` of CLIPModel in transformers 5.23 and its zero-shot-image-classification pipeline, set by
        set. Both are float32 [N, prompts], for raw image vectors float32 [N, dim].
        """
        logits = torch.from_numpy(self.cosines(batch)) * self.scale
        scores = torch.empty_like(logits)
        sets = [label.prompt and label.prompt.set for label in self.labels]
        for name in dict.fromkeys(sets):
            columns = [column for column, one in enumerate(sets) if one == name]
            scores[:, columns] = torch.softmax(logits[:, columns], dim=1)
        return logits.numpy(), scores.numpy()


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)


def load(spec: Spec, weights: LocatedWeights, device: str, prompts: Sequence[AskedPrompt]) -> ClipPrompts:
    """Loads the pinned snapshot and its tokenizer.

    Raises:
        WeightsMismatch: see `_snapshots.load_whole`.
        ValueError: the number of prompts is not the declared one.
    """
    declared = spec.output.count if isinstance(spec.output, ScoresOutput) else None
    if len(prompts) != declared:
        raise ValueError(f"{spec.key}: expected {declared} prompts, found {len(prompts)} in its sets")
    network = load_whole(CLIPModel, spec, weights).eval().to(device)
    tokenizer = CLIPTokenizer.from_pretrained(str(weights.folder), local_files_only=True)
    return ClipPrompts(network, tokenizer, device, prompts)
