"""An embedder around any network that returns one vector for each image."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch


class FeatureEmbedder:
    """Embeds images by one feature of a network's output.

    Attributes:
        network: takes float32 [N, 3, H, W].
        device: the network's device.
        feature: selects the vectors [N, dim] from the network's output; the output itself by default.
    """

    def __init__(
        self, network: torch.nn.Module, device: str, feature: Callable[[Any], torch.Tensor] = lambda output: output
    ):
        self.network = network
        self.device = device
        self.feature = feature

    @torch.inference_mode()
    def embed(self, batch: torch.Tensor) -> np.ndarray:
        """Returns the feature, not normalised, float32 [N, dim], for float32 [N, 3, H, W]."""
        return self.feature(self.network(batch.to(self.device, non_blocking=True))).float().cpu().numpy()
