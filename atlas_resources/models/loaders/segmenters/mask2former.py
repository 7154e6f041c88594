"""Mask2Former from the hub's own layout, by transformers: a class for every pixel."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate
from transformers import Mask2FormerForUniversalSegmentation

from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.output import MasksOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Mask
from atlas_resources.models.weights import LocatedWeights

CLASS_COUNT = {"ade20k_150": 150}


class Mask2Former:
    """Segments a raster into classes: one mask for each class that has a pixel."""

    def __init__(self, network: Any, steps: Preprocessing, device: str):
        self.network = network
        self.device = device
        self.names: dict[int, str] = network.config.id2label
        # The working raster has the declared size already.
        self.preprocess = build_preprocess(steps.model_copy(update={"resize": None}))

    @torch.inference_mode()
    def segment(self, raster: np.ndarray) -> list[Mask]:
        """Masks of a uint8 sRGB raster [H, W, 3], by class id; they part the raster between them."""
        pixels = self.preprocess(Image.fromarray(raster))[None].to(self.device)
        classes = class_map(self.network(pixel_values=pixels), raster.shape[0], raster.shape[1]).cpu().numpy()
        return [Mask.encode(classes == number, self.names[number], number) for number in np.unique(classes).tolist()]


def class_map(output: Any, height: int, width: int) -> torch.Tensor:
    """Class id of each pixel, int64 [H, W], of a batch of one.

    Mask logits are enlarged to the model's input, and each class sums its queries' masks by how sure they are of it:
    `post_process_semantic_segmentation` of transformers 5.23, which does so at 384 x 384 whatever the input.
    """
    logits = interpolate(output.masks_queries_logits, (height, width), mode="bilinear", align_corners=False)
    shares = output.class_queries_logits.softmax(dim=-1)[..., :-1]  # less the class of none
    return torch.einsum("bqc,bqhw->bchw", shares, logits.sigmoid())[0].argmax(dim=0)


def _require_vocabulary(spec: Spec, names: dict[int, str]) -> None:
    """The pinned configuration names the classes; the spec says which list they are."""
    vocabulary = spec.output.vocabulary if isinstance(spec.output, MasksOutput) else None
    count = CLASS_COUNT.get(vocabulary or "")
    if count is None or sorted(names) != list(range(count)) or len(set(names.values())) < count:
        raise ValueError(
            f"{spec.key}: expected {count} classes of {vocabulary}, each with a name of its own, in config.json; found "
            f"{len(names)} ids and {len(set(names.values()))} names"
        )


def load(spec: Spec, weights: LocatedWeights, device: str) -> Mask2Former:
    """Loads the pinned snapshot from disk.

    Raises:
        ValueError: no fixed preprocessing, or other classes than declared.
        WeightsMismatch: see `_snapshots.load_whole`.
    """
    if spec.preprocessing is None:
        raise ValueError(f"{spec.key}: preprocessing is not declared in model_specs/{spec.key}.yaml")
    network = load_whole(Mask2FormerForUniversalSegmentation, spec, weights)
    _require_vocabulary(spec, network.config.id2label)  # type: ignore[union-attr, arg-type] # torch types attributes as tensors
    return Mask2Former(network.eval().to(device), spec.preprocessing, device)
