"""CLIP's vision tower with its projection, from the hub's own layout, by transformers."""

import numpy as np
import torch
from transformers import CLIPVisionModelWithProjection

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
        return self.network(pixel_values=batch.to(self.device)).image_embeds.cpu().numpy()


def load(spec: Spec, weights: LocatedWeights, device: str) -> ClipVision:
    """Loads the pinned snapshot from disk, safetensors only."""
    network = CLIPVisionModelWithProjection.from_pretrained(
        weights.folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    return ClipVision(network.eval().to(device), device)
