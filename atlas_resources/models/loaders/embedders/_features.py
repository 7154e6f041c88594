"""An embedder of any network that gives one vector an image. Which feature that is, its loader says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch


class FeatureEmbedder:
    """Embeds images by one feature of a network's output.

    Attributes:
        network: takes float32 [N, 3, H, W].
        device: where the network is.
        feature: what is taken of its output, [N, dim]; the output itself by default.
    """

    def __init__(
        self, network: torch.nn.Module, device: str, feature: Callable[[Any], torch.Tensor] = lambda output: output
    ):
        self.network = network
        self.device = device
        self.feature = feature

    @torch.inference_mode()
    def embed(self, batch: torch.Tensor) -> np.ndarray:
        """The feature, raw, float32 [N, dim], of float32 [N, 3, H, W]."""
        return self.feature(self.network(batch.to(self.device))).float().cpu().numpy()
