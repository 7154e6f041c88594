"""CLIP's vision tower with its projection, from the hub's own layout, by transformers."""

import numpy as np
import torch
from transformers import CLIPVisionModelWithProjection

from atlas_resources.loaders.snapshots import load_whole
from atlas_resources.specs import Spec
from atlas_resources.weights import LocatedWeights


class ClipVision:
    """Embeds images in the space CLIP shares with text."""

    def __init__(self, network: torch.nn.Module, device: str):
        self.network = network
        self.device = device

    @torch.inference_mode()
    def embed(self, batch: torch.Tensor) -> np.ndarray:
        """The projected image embedding: float32 [N, dim] of float32 [N, 3, H, W]."""
        return self.network(pixel_values=batch.to(self.device)).image_embeds.float().cpu().numpy()


def load(spec: Spec, weights: LocatedWeights, device: str) -> ClipVision:
    """Loads the pinned snapshot from disk. See `snapshots.load_whole` for what it raises."""
    return ClipVision(load_whole(CLIPVisionModelWithProjection, spec, weights).eval().to(device), device)
