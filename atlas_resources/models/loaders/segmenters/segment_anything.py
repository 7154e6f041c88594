"""SAM by the networks of segment-anything and the original checkpoints: class-agnostic masks."""

from typing import Any

import numpy as np
import torch
from segment_anything import sam_model_registry

from atlas_resources.instruments.parameters.segmenting import SamParameters
from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._state_dicts import fill, read_tensors
from atlas_resources.models.loaders.segmenters.mask_generation import MaskGenerator
from atlas_resources.models.loaders.segmenters.point_prompts import encoder_input
from atlas_resources.models.weights import LocatedWeights

ARCHITECTURE_OF_FILE = {
    "sam_vit_b_01ec64.pth": "vit_b",
    "sam_vit_l_0b3195.pth": "vit_l",
    "sam_vit_h_4b8939.pth": "vit_h",
}


class SegmentAnything:
    """Decodes masks from points with a network of segment-anything."""

    point_dtype: type[np.floating] = np.float64

    def __init__(self, sam: Any, device: str):
        self.sam = sam
        self.device = device
        self.side_px: int = sam.image_encoder.img_size

    def embed(self, raster: np.ndarray) -> torch.Tensor:
        """Returns the image embedding [1, channels, h, w] of a raster uint8 [H, W, 3], RGB in sRGB."""
        mean, std = self.sam.pixel_mean.flatten().cpu(), self.sam.pixel_std.flatten().cpu()
        return self.sam.image_encoder(encoder_input(raster, self.side_px, mean, std).to(self.device))

    def decode(self, embedding: torch.Tensor, points: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mask logits [N, 3, h, w] and predicted IoU [N, 3] for points x, y, float64 [N, 2]."""
        prompts = torch.from_numpy(points)[:, None].to(self.device)
        labels = torch.ones(len(points), 1, dtype=torch.int, device=self.device)
        sparse, dense = self.sam.prompt_encoder(points=(prompts, labels), boxes=None, masks=None)
        return self.sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )


def _require_declared_normalisation(spec: Spec, sam: torch.nn.Module) -> None:
    """Raises ValueError unless the spec declares the mean and deviation with which segment-anything normalises."""
    steps = spec.preprocessing
    if not isinstance(steps, Preprocessing) or not steps.mean or not steps.std:
        raise ValueError(f"{spec.key}: preprocessing.mean and std are not declared in model_specs/{spec.key}.yaml")
    for name, declared in (("pixel_mean", steps.mean), ("pixel_std", steps.std)):
        actual = getattr(sam, name).flatten().cpu().numpy() / 255
        if not np.allclose(actual, declared, atol=1e-6):
            raise ValueError(
                f"{spec.key}: the model's {name} is {actual}, model_specs/{spec.key}.yaml declares {declared}"
            )


def load(spec: Spec, weights: LocatedWeights, device: str) -> MaskGenerator:
    """Builds the architecture that the file's name stands for and loads the checkpoint, tensors only.

    Raises:
        ValueError: the spec declares another mean or standard deviation than the network has.
        WeightsMismatch: see `_state_dicts.fill`.
    """
    path = weights.only_file()
    # Not built empty, as its mean and deviation are in no state dict.
    sam = fill(sam_model_registry[ARCHITECTURE_OF_FILE[path.name]]().eval(), read_tensors(path), spec, path)
    _require_declared_normalisation(spec, sam)
    parameters = SamParameters.model_validate(spec.parameters)
    return MaskGenerator(SegmentAnything(sam.to(device), device), parameters)
