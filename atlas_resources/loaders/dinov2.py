"""DINOv2 from the hub's own layout, by transformers."""

import numpy as np
import torch
from transformers import Dinov2Model

from atlas_resources.loaders.snapshots import load_whole
from atlas_resources.specs import Spec
from atlas_resources.weights import LocatedWeights


class Dinov2:
    """Embeds images by the class token."""

    def __init__(self, network: torch.nn.Module, device: str):
        self.network = network
        self.device = device

    @torch.inference_mode()
    def embed(self, batch: torch.Tensor) -> np.ndarray:
        """The class token after the final layer norm: float32 [N, dim] of float32 [N, 3, H, W]."""
        return self.network(pixel_values=batch.to(self.device)).pooler_output.float().cpu().numpy()


def load(spec: Spec, weights: LocatedWeights, device: str) -> Dinov2:
    """Loads the pinned snapshot from disk. See `snapshots.load_whole` for what it raises."""
    return Dinov2(load_whole(Dinov2Model, spec, weights).eval().to(device), device)
