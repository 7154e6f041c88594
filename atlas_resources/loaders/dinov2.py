"""DINOv2 from the hub's own layout, by transformers."""

import numpy as np
import torch
from transformers import Dinov2Model

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
        return self.network(pixel_values=batch.to(self.device)).pooler_output.cpu().numpy()


def load(spec: Spec, weights: LocatedWeights, device: str) -> Dinov2:
    """Loads the pinned snapshot from disk, safetensors only."""
    network = Dinov2Model.from_pretrained(
        weights.folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    return Dinov2(network.eval().to(device), device)
