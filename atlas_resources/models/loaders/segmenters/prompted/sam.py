"""SAM and SAM-HQ in the hub's own layout, loaded by transformers: class-agnostic masks."""

from typing import Any

import numpy as np
import torch
from transformers import SamHQModel, SamModel

from atlas_resources.instruments.parameters.segmenting import SamParameters
from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.loaders.segmenters.prompted.attention import attend_in_blocks
from atlas_resources.models.loaders.segmenters.prompted.mask_generation import Decoded, MaskGenerator
from atlas_resources.models.loaders.segmenters.prompted.point_prompts import encoder_input
from atlas_resources.models.weights import LocatedWeights

ARCHITECTURES = {"sam": SamModel, "sam_hq": SamHQModel}  # by the spec's loader

CPU_POINTS = 8  # that a CPU decodes at once: with more, their arrays leave its caches


class HubSam:
    """Decodes masks from points with a network of transformers, whose encoder then attends in blocks."""

    point_dtype: type[np.floating] = np.float32

    def __init__(self, network: Any, steps: Preprocessing, device: str):
        attend_in_blocks(network.vision_encoder.layers, device)
        self.network = network
        self.device = device
        self.side_px: int = network.config.vision_config.image_size
        self.points_at_once = CPU_POINTS if device == "cpu" else None
        # On the scale 0..255, as transformers' processors rescale and normalise in one step: rounding follows theirs.
        self.mean = torch.tensor(steps.mean) * 255
        self.std = torch.tensor(steps.std) * 255

    def embed(self, raster: np.ndarray) -> dict[str, Any]:
        """Returns the image embedding [1, channels, h, w] of a raster uint8 [H, W, 3], RGB in sRGB.

        For SAM-HQ, the encoder's intermediate layers too: without them its decoder silently uses the features of SAM.
        """
        pixels = encoder_input(raster, self.side_px, self.mean, self.std).to(self.device)
        embedding = self.network.get_image_embeddings(pixels)
        if isinstance(self.network, SamHQModel):
            return {"image_embeddings": embedding[0], "intermediate_embeddings": embedding[1]}
        return {"image_embeddings": embedding}

    def decode(self, embedding: dict[str, Any], points: np.ndarray) -> Decoded:
        """Decodes three masks for each of the points x, y, float32 [N, 2]."""
        prompts = torch.from_numpy(points).to(self.device)[None, :, None]
        labels = torch.ones(1, len(points), 1, dtype=torch.int64, device=self.device)
        output = self.network(input_points=prompts, input_labels=labels, multimask_output=True, **embedding)
        return Decoded(output.iou_scores[0], lambda is_wanted: output.pred_masks[0][is_wanted])


def load(spec: Spec, weights: LocatedWeights, device: str) -> MaskGenerator:
    """Loads the pinned snapshot, in the architecture of the spec's loader.

    Raises:
        ValueError: the spec declares no mean and standard deviation.
        WeightsMismatch: see `_snapshots.load_whole`.
    """
    steps = spec.preprocessing
    if steps is None or not steps.mean or not steps.std:
        raise ValueError(f"{spec.key}: preprocessing.mean and std are not declared in model_specs/{spec.key}.yaml")
    network = load_whole(ARCHITECTURES[spec.loader or "sam"], spec, weights).eval().to(device)
    return MaskGenerator(HubSam(network, steps, device), SamParameters.model_validate(spec.parameters))
