"""Texts compared with image vectors that another instrument has sealed, whatever text tower embeds them."""

from collections.abc import Sequence

import numpy as np
import torch

from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.output import ScoresOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.protocols import Label, TextEmbedder

PER_SET, SIGMOID = "softmax_per_prompt_set", "sigmoid"


class PromptScorer:
    """Compares images with prompts in the space that a text tower shares with an image tower.

    Args:
        tower: embeds texts.
        prompts: the texts to compare with.
        scale: what cosines are multiplied by.
        bias: what is added then.
        activation: how scores follow from logits: `softmax_per_prompt_set` or `sigmoid`.
    """

    def __init__(
        self,
        tower: TextEmbedder,
        prompts: Sequence[AskedPrompt],
        *,
        scale: float,
        bias: float = 0.0,
        activation: str = PER_SET,
    ):
        self.tower = tower
        self.labels = [Label(prompt.id, prompt.text, prompt) for prompt in prompts]
        self.scale = scale
        self.bias = bias
        self.activation = activation
        self._words = _unit(torch.from_numpy(self.embed_text([prompt.text for prompt in prompts])))

    def embed_text(self, texts: list[str]) -> np.ndarray:
        """Returns the tower's text embeddings, not normalised: float32 [N, dim]."""
        return self.tower.embed_text(texts)

    def cosines(self, batch: torch.Tensor) -> np.ndarray:
        """Returns the cosines with the prompts, float32 [N, prompts], for raw image vectors float32 [N, dim]."""
        return (_unit(batch) @ self._words.T).float().numpy()

    def score(self, batch: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Returns the logits, and their softmax over the prompts of each set or their sigmoid.

        Both are float32 [N, prompts], for raw image vectors float32 [N, dim].
        """
        logits = torch.from_numpy(self.cosines(batch)) * self.scale + self.bias
        if self.activation == SIGMOID:
            return logits.numpy(), torch.sigmoid(logits).numpy()
        scores = torch.empty_like(logits)
        sets = [label.prompt and label.prompt.set for label in self.labels]
        for name in dict.fromkeys(sets):
            columns = [column for column, one in enumerate(sets) if one == name]
            scores[:, columns] = torch.softmax(logits[:, columns], dim=1)
        return logits.numpy(), scores.numpy()


class TemplateTower:
    """A text tower with the templates that its instrument pins."""

    def __init__(self, tower: TextEmbedder, templates: Sequence[AskedPrompt]):
        self.tower = tower
        self.templates = list(templates)

    def embed_text(self, texts: list[str]) -> np.ndarray:
        """Returns the tower's text embeddings, not normalised: float32 [N, dim]."""
        return self.tower.embed_text(texts)


def tower_or_scorer(
    spec: Spec,
    tower: TextEmbedder,
    prompts: Sequence[AskedPrompt],
    *,
    scale: float,
    bias: float = 0.0,
    activation: str = PER_SET,
) -> TemplateTower | PromptScorer:
    """The tower with its templates for an instrument that ranks keywords; a scorer of the prompts for a probe.

    Raises:
        ValueError: the number of prompts or the activation is not the declared one.
    """
    if not isinstance(spec.output, ScoresOutput):
        return TemplateTower(tower, prompts)
    if len(prompts) != spec.output.count:
        raise ValueError(f"{spec.key}: expected {spec.output.count} prompts, found {len(prompts)} in its sets")
    if spec.output.activation != activation:
        raise ValueError(
            f"{spec.key}: expected output.activation {activation!r}, as {spec.loader} computes, found "
            f"{spec.output.activation!r} in model_specs/{spec.key}.yaml"
        )
    return PromptScorer(tower, prompts, scale=scale, bias=bias, activation=activation)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
