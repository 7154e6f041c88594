"""U2-Net: one mask of the salient object. The architecture has the layout of the pinned checkpoint.

X. Qin et al., "U2-Net: Going deeper with nested U-structure for salient object detection", Pattern Recognition 106
(2020), table 1 for the sizes. Modules are named as in carvekit's `ml/arch/u2net/u2net.py`, by which the checkpoint was
saved.
"""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import interpolate

from atlas_resources.instruments.parameters.segmenting import U2NetParameters
from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._state_dicts import build_empty, fill, read_tensors
from atlas_resources.models.loaders.segmenters._saliency import mask_of_saliency
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Mask
from atlas_resources.models.weights import LocatedWeights

# For each stage: height, channels in, inside and out, and whether it dilates instead of pooling.
ENCODER = (
    (7, 3, 32, 64, False), (6, 64, 32, 128, False), (5, 128, 64, 256, False), (4, 256, 128, 512, False),
    (4, 512, 256, 512, True), (4, 512, 256, 512, True),
)  # fmt: skip
DECODER = (
    (7, 128, 16, 64, False), (6, 256, 32, 64, False), (5, 512, 64, 128, False), (4, 1024, 128, 256, False),
    (4, 1024, 256, 512, True),
)  # fmt: skip


class Block(nn.Module):
    """3 x 3 convolution, batch normalisation, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, dilation: int = 1):
        super().__init__()
        self.conv_s1 = nn.Conv2d(channels_in, channels_out, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(channels_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns float32 [N, channels_out, H, W] for [N, channels_in, H, W]."""
        return torch.relu(self.bn_s1(self.conv_s1(x)))


class ResidualU(nn.Module):
    """A U-Net with a residual connection: `rebnconv<level>` on the way down, `rebnconv<level>d` on the way up."""

    def __init__(self, height: int, channels_in: int, within: int, channels_out: int, is_dilated: bool):
        super().__init__()
        self.height = height
        self.is_dilated = is_dilated
        self.rebnconvin = Block(channels_in, channels_out)
        self.rebnconv1 = Block(channels_out, within)
        self.rebnconv1d = Block(within * 2, channels_out)
        for level in range(2, height):
            dilation = 2 ** (level - 1) if is_dilated else 1
            self.add_module(f"rebnconv{level}", Block(within, within, dilation))
            self.add_module(f"rebnconv{level}d", Block(within * 2, within, dilation))
        self.add_module(f"rebnconv{height}", Block(within, within, 2 ** (height - 1) if is_dilated else 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns float32 [N, channels_out, H, W] for [N, channels_in, H, W]."""
        x = self.rebnconvin(x)
        return x + self._below(x, 1)

    def _below(self, x: torch.Tensor, level: int) -> torch.Tensor:
        down = self.get_submodule(f"rebnconv{level}")(x)
        if level == self.height:
            return down
        is_reduced = not self.is_dilated and level < self.height - 1
        below = self._below(_halved(down) if is_reduced else down, level + 1)
        return self.get_submodule(f"rebnconv{level}d")(torch.cat([_as_large(below, down), down], dim=1))


class U2NetNetwork(nn.Module):
    """A U of residual Us, with a saliency map from each decoder stage and a fusion of them."""

    def __init__(self, encoder: tuple = ENCODER, decoder: tuple = DECODER):
        super().__init__()
        self.height = len(encoder)
        for number, sizes in enumerate(encoder, start=1):
            self.add_module(f"stage{number}", ResidualU(*sizes))
        for number, sizes in enumerate(decoder, start=1):
            self.add_module(f"stage{number}d", ResidualU(*sizes))
            self.add_module(f"side{number}", nn.Conv2d(sizes[3], 1, 3, padding=1))
        self.add_module(f"side{self.height}", nn.Conv2d(encoder[-1][3], 1, 3, padding=1))
        self.outconv = nn.Conv2d(self.height, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the fused saliency after the sigmoid, float32 [N, 1, H, W], 0..1, for [N, 3, H, W]."""
        maps: list[torch.Tensor] = []
        self._below(x, 1, lambda side: maps.insert(0, _as_large(side, x)))
        return torch.sigmoid(self.outconv(torch.cat(maps, dim=1)))

    def _below(self, x: torch.Tensor, level: int, keep: Callable[[torch.Tensor], None]) -> torch.Tensor:
        out = self.get_submodule(f"stage{level}")(x)
        if level < self.height:
            below = _as_large(self._below(_halved(out), level + 1, keep), out)
            out = self.get_submodule(f"stage{level}d")(torch.cat([below, out], dim=1))
        keep(self.get_submodule(f"side{level}")(out))
        return out


def _halved(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.max_pool2d(x, 2, stride=2, ceil_mode=True)


def _as_large(x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    if x.shape[-2:] == other.shape[-2:]:
        return x
    return interpolate(x, other.shape[-2:], mode="bilinear", align_corners=False)


class U2Net:
    """Segments the salient object of a raster."""

    def __init__(self, network: nn.Module, steps: Preprocessing, parameters: U2NetParameters, device: str):
        self.network = network
        self.parameters = parameters
        self.device = device
        # The raster has been resized already.
        self.preprocess = build_preprocess(steps.model_copy(update={"resize": None}))

    @torch.inference_mode()
    def segment(self, raster: np.ndarray) -> list[Mask]:
        """Returns one mask of a raster uint8 [H, W, 3], RGB in sRGB; none where the saliency is the same everywhere."""
        pixels = self.preprocess(Image.fromarray(raster))[None].to(self.device)
        saliency = self.network(pixels)[0, 0].cpu().numpy()
        return mask_of_saliency(saliency, self.parameters.saliency_threshold)


def load(spec: Spec, weights: LocatedWeights, device: str) -> U2Net:
    """Builds the architecture and loads the pinned checkpoint, tensors only.

    Raises:
        ValueError: no preprocessing is declared.
        WeightsMismatch: see `_state_dicts.fill`.
    """
    if spec.preprocessing is None:
        raise ValueError(f"{spec.key}: preprocessing is not declared in model_specs/{spec.key}.yaml")
    path = weights.only_file()
    network = fill(build_empty(U2NetNetwork), read_tensors(path), spec, path)
    parameters = U2NetParameters.model_validate(spec.parameters)
    return U2Net(network.to(device), spec.preprocessing, parameters, device)
