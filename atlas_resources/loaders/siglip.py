"""SigLIP's vision tower with its attention-pooling head, from the hub's own layout, by transformers."""

import numpy as np
import torch
from transformers import SiglipVisionModel

from atlas_resources.loaders.snapshots import load_whole
from atlas_resources.specs import Spec
from atlas_resources.weights import LocatedWeights


class SiglipVision:
    """Embeds images in the space SigLIP shares with text."""

    def __init__(self, network: torch.nn.Module, device: str):
        self.network = network
        self.device = device

    @torch.inference_mode()
    def embed(self, batch: torch.Tensor) -> np.ndarray:
        """What the head attends to: float32 [N, dim] of float32 [N, 3, H, W]. No projection follows it."""
        return self.network(pixel_values=batch.to(self.device)).pooler_output.float().cpu().numpy()


def load(spec: Spec, weights: LocatedWeights, device: str) -> SiglipVision:
    """Loads the pinned snapshot from disk. See `snapshots.load_whole` for what it raises."""
    return SiglipVision(load_whole(SiglipVisionModel, spec, weights).eval().to(device), device)
