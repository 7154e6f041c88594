"""Segment Anything by its reference implementation and original checkpoints: masks of everything."""

import numpy as np
import torch
from segment_anything import SamAutomaticMaskGenerator, sam_model_registry

from atlas_resources.inference import Mask
from atlas_resources.registry import SamParameters
from atlas_resources.specs import Preprocessing, Spec
from atlas_resources.weights import LocatedWeights

ARCHITECTURE_OF_FILE = {
    "sam_vit_b_01ec64.pth": "vit_b",
    "sam_vit_l_0b3195.pth": "vit_l",
    "sam_vit_h_4b8939.pth": "vit_h",
}


class SegmentAnything:
    """Segments a raster by a grid of point prompts."""

    def __init__(self, generator: SamAutomaticMaskGenerator):
        self.generator = generator

    @torch.inference_mode()
    def segment(self, raster: np.ndarray) -> list[Mask]:
        """Masks [H, W] of one uint8 sRGB raster [H, W, 3]."""
        return [
            Mask(
                pixels=record["segmentation"],
                predicted_iou=float(record["predicted_iou"]),
                stability_score=float(record["stability_score"]),
            )
            for record in self.generator.generate(raster)
        ]


def _require_declared_normalisation(spec: Spec, sam: torch.nn.Module) -> None:
    """segment-anything normalises by itself; the spec must declare what it does."""
    steps = spec.preprocessing
    if not isinstance(steps, Preprocessing) or not steps.mean or not steps.std:
        raise ValueError(f"{spec.key}: preprocessing.mean and std are not declared in model_specs/{spec.key}.yaml")
    for name, declared in (("pixel_mean", steps.mean), ("pixel_std", steps.std)):
        actual = getattr(sam, name).flatten().cpu().numpy() / 255
        if not np.allclose(actual, declared, atol=1e-6):
            raise ValueError(
                f"{spec.key}: the model's {name} is {actual}, model_specs/{spec.key}.yaml declares {declared}"
            )


def load(spec: Spec, weights: LocatedWeights, device: str) -> SegmentAnything:
    """Builds the reference architecture and loads the original checkpoint: tensors only, strictly."""
    path = weights.only_file()
    sam = sam_model_registry[ARCHITECTURE_OF_FILE[path.name]]()
    sam.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    _require_declared_normalisation(spec, sam)
    parameters = SamParameters.model_validate(spec.parameters)
    generator = SamAutomaticMaskGenerator(
        sam.eval().to(device),
        points_per_side=parameters.points_per_side,
        points_per_batch=parameters.points_per_batch,
        pred_iou_thresh=parameters.pred_iou_thresh,
        stability_score_thresh=parameters.stability_score_thresh,
        box_nms_thresh=parameters.box_nms_thresh,
    )
    return SegmentAnything(generator)
