"""Mask2Former in the hub's own layout, loaded by transformers: a class for every pixel."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate
from transformers import Mask2FormerForUniversalSegmentation

from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.output import OF_CONFIGURATION, MasksOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Mask
from atlas_resources.models.weights import LocatedWeights

CLASS_COUNT = {"ade20k_150": 150}


class Mask2Former:
    """Segments a raster by class: one mask for each class that has a pixel."""

    def __init__(self, network: Any, steps: Preprocessing, device: str):
        self.network = network
        self.device = device
        self.names: dict[int, str] = network.config.id2label
        # The raster has been resized already.
        self.preprocess = build_preprocess(steps.model_copy(update={"resize": None}))

    @torch.inference_mode()
    def segment(self, raster: np.ndarray) -> list[Mask]:
        """Returns a mask for each class found, by class id, for a raster uint8 [H, W, 3], RGB in sRGB.

        Every pixel is in exactly one mask.
        """
        pixels = self.preprocess(Image.fromarray(raster))[None].to(self.device)
        classes = class_map(self.network(pixel_values=pixels), raster.shape[0], raster.shape[1]).cpu().numpy()
        return [Mask.encode(classes == number, self.names[number], number) for number in np.unique(classes).tolist()]


def class_map(output: Any, height: int, width: int) -> torch.Tensor:
    """Returns the class id of each pixel, int64 [H, W], from the network's output for a batch of one.

    Mask logits are enlarged to height and width by bilinear interpolation. A class's score at a pixel is the sum over
    the queries of class probability times mask probability, as in `post_process_semantic_segmentation` of transformers
    5.23, which enlarges to 384 x 384 whatever the input.
    """
    logits = interpolate(output.masks_queries_logits, (height, width), mode="bilinear", align_corners=False)
    shares = output.class_queries_logits.softmax(dim=-1)[..., :-1]  # without "no object"
    return torch.einsum("bqc,bqhw->bchw", shares, logits.sigmoid())[0].argmax(dim=0)


def _require_vocabulary(spec: Spec, names: dict[int, str]) -> None:
    """Raises ValueError unless the classes in config.json are as many as in the vocabulary that the spec declares."""
    vocabulary = spec.output.vocabulary if isinstance(spec.output, MasksOutput) else None
    count = len(names) if vocabulary == OF_CONFIGURATION else CLASS_COUNT.get(vocabulary or "")
    if count is None or sorted(names) != list(range(count)) or len(set(names.values())) < count:
        raise ValueError(
            f"{spec.key}: expected {count} classes of {vocabulary}, each with a name of its own, in config.json; found "
            f"{len(names)} ids and {len(set(names.values()))} names"
        )


def load(spec: Spec, weights: LocatedWeights, device: str) -> Mask2Former:
    """Loads the pinned snapshot.

    Raises:
        ValueError: no preprocessing is declared, or the classes are not those declared.
        WeightsMismatch: see `_snapshots.load_whole`.
    """
    if spec.preprocessing is None:
        raise ValueError(f"{spec.key}: preprocessing is not declared in model_specs/{spec.key}.yaml")
    network = load_whole(Mask2FormerForUniversalSegmentation, spec, weights)
    _require_vocabulary(spec, network.config.id2label)  # type: ignore[union-attr, arg-type] # torch types attributes as tensors
    return Mask2Former(network.eval().to(device), spec.preprocessing, device)
