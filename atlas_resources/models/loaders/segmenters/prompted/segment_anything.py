"""SAM by the networks of segment-anything and the original checkpoints: class-agnostic masks."""

from typing import Any

import numpy as np
import torch
from segment_anything import sam_model_registry

from atlas_resources.instruments.parameters.segmenting import SamParameters
from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._state_dicts import fill, read_tensors
from atlas_resources.models.loaders.segmenters.prompted import two_way
from atlas_resources.models.loaders.segmenters.prompted.attention import attend_in_blocks
from atlas_resources.models.loaders.segmenters.prompted.mask_generation import Decoded, MaskGenerator
from atlas_resources.models.loaders.segmenters.prompted.point_prompts import encoder_input
from atlas_resources.models.weights import LocatedWeights

ARCHITECTURE_OF_FILE = {
    "sam_vit_b_01ec64.pth": "vit_b",
    "sam_vit_l_0b3195.pth": "vit_l",
    "sam_vit_h_4b8939.pth": "vit_h",
}


CPU_POINTS, CPU_DRAWN = 8, 4
"""Points that a CPU decodes, and draws the masks of, at once: with more, their arrays leave its caches. With fewer than
four, MKL sums in another order than with many."""


class SegmentAnything:
    """Decodes masks from points with a network of segment-anything, whose encoder then attends in blocks."""

    point_dtype: type[np.floating] = np.float64

    def __init__(self, sam: Any, device: str):
        attend_in_blocks(sam.image_encoder.blocks, device)
        self.sam = sam
        self.device = device
        self.side_px: int = sam.image_encoder.img_size
        self.points_at_once = CPU_POINTS if device == "cpu" else None

    def embed(self, raster: np.ndarray) -> two_way.SharedImage:
        """Returns what points share of the embedding of a raster uint8 [H, W, 3], RGB in sRGB."""
        mean, std = self.sam.pixel_mean.flatten().cpu(), self.sam.pixel_std.flatten().cpu()
        pixels = encoder_input(raster, self.side_px, mean, std).to(self.device)
        return two_way.share(self.sam, self.sam.image_encoder(pixels))

    def decode(self, embedding: two_way.SharedImage, points: np.ndarray) -> Decoded:
        """Decodes three masks for each of the points x, y, float64 [N, 2]."""
        prompts = torch.from_numpy(points)[:, None].to(self.device)
        labels = torch.ones(len(points), 1, dtype=torch.int, device=self.device)
        sparse, _ = self.sam.prompt_encoder(points=(prompts, labels), boxes=None, masks=None)
        decoder = self.sam.mask_decoder
        seen = two_way.look(decoder, embedding, sparse)

        def draw(is_wanted: torch.Tensor) -> torch.Tensor:
            rows = is_wanted.any(dim=1).nonzero()[:, 0]
            if self.device != "cpu":
                return two_way.draw(decoder, seen.at(rows), embedding.size)[is_wanted[rows]]
            drawn = []
            for some in rows.split(CPU_DRAWN):
                full = torch.cat([some, some[-1:].expand(CPU_DRAWN - len(some))])
                drawn.append(two_way.draw(decoder, seen.at(full), embedding.size)[: len(some)][is_wanted[some]])
            return torch.cat(drawn)

        return Decoded(seen.predicted_iou, draw)


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
