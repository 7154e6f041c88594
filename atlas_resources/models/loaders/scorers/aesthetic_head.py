"""Aesthetic predictors: small networks that rate a CLIP embedding which another instrument has sealed."""

from typing import Any

import numpy as np
import torch
from torch import nn

from atlas_resources.instruments.loader_table import HeadParameters
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.protocols import Label
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch


def _linear(dim: int) -> nn.Module:
    """One linear layer, as in LAION-AI/aesthetic-predictor @6d122ada."""
    return nn.Linear(dim, 1)


def _perceptron(dim: int) -> nn.Module:
    """Five linear layers with only dropout between them, which has no effect in inference.

    Class MLP of simple_inference.py in christophschuhmann/improved-aesthetic-predictor @6934dd81.
    """
    return nn.Sequential(
        nn.Linear(dim, 1024), nn.Dropout(0.2), nn.Linear(1024, 128), nn.Dropout(0.2), nn.Linear(128, 64),
        nn.Dropout(0.1), nn.Linear(64, 16), nn.Linear(16, 1),
    )  # fmt: skip


HEADS = {"linear": _linear, "perceptron": _perceptron}


class AestheticHead:
    """Rates image embeddings."""

    def __init__(self, network: nn.Module, device: str):
        self.labels = [Label("rating", "aesthetic rating")]
        self.network = network
        self.device = device

    @torch.inference_mode()
    def score(self, batch: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rating twice, as there is no activation: float32 [N, 1] each, for raw vectors float32 [N, dim].

        Vectors are scaled to unit length first, except those of length 0, as by `normalized` in simple_inference.py.
        LAION's notebook divides by the length as well.
        """
        vectors = batch.to(self.device, non_blocking=True)
        norms = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        unit = vectors / norms.where(norms > 0, torch.ones_like(norms))
        ratings = self.network(unit).float().cpu().numpy()
        return ratings, ratings


def load(spec: Spec, weights: LocatedWeights, device: str) -> AestheticHead:
    """Loads the pinned pickle, tensors only, onto the declared device.

    Raises:
        WeightsMismatch: the names or shapes in the file are not those of the declared head.
    """
    parameters = HeadParameters.model_validate(spec.parameters)
    path = weights.only_file()
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    first = next((value for value in state.values() if value.ndim == 2), None)
    if first is None:
        raise WeightsMismatch(f"{spec.key}: {path}: expected a {parameters.head} head, found no matrix in it")
    network = HEADS[parameters.head](first.shape[1])
    entries = {name.removeprefix("layers."): value for name, value in state.items()}
    try:
        network.load_state_dict(entries, strict=True)
    except RuntimeError as error:
        raise WeightsMismatch(f"{spec.key}: {path}: expected a {parameters.head} head. {error}") from error
    return AestheticHead(network.eval().to(device), device)
