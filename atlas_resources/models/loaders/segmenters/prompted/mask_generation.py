"""Automatic mask generation: masks from a grid of points over a raster and its crops, filtered and suppressed.

Works with any model that decodes masks from points. Equal to SamAutomaticMaskGenerator of segment-anything 1.0 and,
with `crop_nms_order: predicted_iou`, to the mask-generation pipeline of transformers 5.23.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn.functional import interpolate
from torchvision.ops import nms

from atlas_resources.instruments.parameters.segmenting import SamParameters
from atlas_resources.measures.masks import run_lengths
from atlas_resources.models.loaders.segmenters.prompted._small_regions import without_small_regions
from atlas_resources.models.loaders.segmenters.prompted.point_prompts import (
    Crop,
    boxes_of,
    fitted_size,
    is_cut_off,
    lay_crops,
    point_grid,
)
from atlas_resources.models.protocols import Mask

MASK_THRESHOLD = 0.0  # of the logits: `Sam.mask_threshold` in modeling/sam.py of segment-anything 1.0
CPU_CHUNK_BYTES, GPU_CHUNK_BYTES = 16 << 20, 1 << 30
"""Memory limit of the float32 masks that are enlarged at once. It changes no result. From 32 MiB on, glibc asks the
system for the memory of each array anew, which takes a CPU longer than to enlarge; a GPU needs few large operations."""


@dataclass(frozen=True)
class Decoded:
    """What a model says of N points, before masks are drawn.

    Attributes:
        predicted_iou: float32 [N, 3], of the three masks of each point.
        draw: returns the logits [K, h, w], over the padded square, of the K masks that are True in a tensor bool
            [N, 3], in order.
    """

    predicted_iou: torch.Tensor
    draw: Callable[[torch.Tensor], torch.Tensor]


class PromptedModel(Protocol):
    """Decodes masks of a raster from points.

    Attributes:
        side_px: side of the encoder's square input.
        point_dtype: float type in which its reference computes the points.
        points_at_once: how many points are decoded fastest together; None for as many as there are. It changes no
            result.
    """

    side_px: int
    point_dtype: type[np.floating]
    points_at_once: int | None

    def embed(self, raster: np.ndarray) -> Any:
        """Returns the image embedding of a raster uint8 [H, W, 3], RGB in sRGB, longer side resized to `side_px`."""
        ...

    def decode(self, embedding: Any, points: np.ndarray) -> Decoded:
        """Decodes three masks for each point.

        Args:
            embedding: from `embed`.
            points: [N, 2], x and y in pixels of the resized raster.
        """
        ...


@dataclass(frozen=True)
class Candidate:
    """A mask that has passed the filters.

    Attributes:
        counts: COCO's compressed run lengths at the raster's size.
        box: x_min, y_min, x_max, y_max in pixels of the raster, last pixel inclusive; for a mask without a pixel, the
            top left corner of its crop.
        predicted_iou, stability_score: see `protocols.Mask`.
        crop: the crop in which it was found.
    """

    counts: str
    box: tuple[float, ...]
    predicted_iou: float
    stability_score: float | None
    crop: Crop


class MaskGenerator:
    """Segments a raster by a grid of point prompts."""

    def __init__(self, model: PromptedModel, parameters: SamParameters):
        self.model = model
        self.parameters = parameters

    @torch.inference_mode()
    def segment(self, raster: np.ndarray) -> list[Mask]:
        """Returns the masks of a raster uint8 [H, W, 3], RGB in sRGB, best first.

        A mask can be without a pixel only where the stability threshold is 0.
        """
        parameters = self.parameters
        height, width = raster.shape[:2]
        crops = lay_crops(height, width, parameters.crop_n_layers, parameters.crop_overlap_ratio)
        found: list[Candidate] = []
        for crop in crops:
            masks = [mask for batch in self._batches(raster, crop) for mask in batch]
            found += _suppress(masks, [mask.predicted_iou for mask in masks], parameters.box_nms_thresh)
        if len(crops) > 1:
            found = _suppress(found, self._crop_scores(found), parameters.crop_nms_thresh)
        if parameters.min_mask_region_area:
            found = self._without_small_regions(found, height, width)
        return [
            Mask(mask.counts, height, width, predicted_iou=mask.predicted_iou, stability_score=mask.stability_score)
            for mask in found
        ]

    def _batches(self, raster: np.ndarray, crop: Crop) -> Iterator[list[Candidate]]:
        """Yields the masks that pass the filters, from one batch of points after another."""
        parameters = self.parameters
        embedding = self.model.embed(raster[crop.top : crop.bottom, crop.left : crop.right])
        fitted = fitted_size(crop.height, crop.width, self.model.side_px)
        per_side = int(parameters.points_per_side / parameters.crop_n_points_downscale_factor**crop.layer)
        # Grid to crop, then crop to resized raster, in this order and type: rounding differs otherwise.
        scales = [(crop.width, crop.height), (fitted[1] / crop.width, fitted[0] / crop.height)]
        to_crop, to_fitted = np.array(scales, self.model.point_dtype)
        points = point_grid(per_side).astype(self.model.point_dtype) * to_crop * to_fitted
        for start in range(0, len(points), parameters.points_per_batch):
            for some in _even_parts(points[start : start + parameters.points_per_batch], self.model.points_at_once):
                decoded = self.model.decode(embedding, some)
                ious = decoded.predicted_iou
                is_good = (
                    ious > parameters.pred_iou_thresh
                    if parameters.pred_iou_thresh > 0
                    else torch.ones_like(ious, dtype=torch.bool)
                )
                if is_good.any():
                    yield from self._filtered(decoded.draw(is_good), ious[is_good], crop, fitted, raster.shape[:2])

    def _filtered(
        self, logits: torch.Tensor, ious: torch.Tensor, crop: Crop, fitted: tuple[int, int], raster: tuple[int, ...]
    ) -> Iterator[list[Candidate]]:
        """Yields the masks of logits [N, h, w] that pass the other filters, a few at a time."""
        limit_bytes = CPU_CHUNK_BYTES if logits.device.type == "cpu" else GPU_CHUNK_BYTES
        at_once = max(1, limit_bytes // (4 * max(crop.height * crop.width, self.model.side_px**2)))
        for start in range(0, len(logits), at_once):
            part = slice(start, start + at_once)
            yield self._candidates(logits[part], ious[part], crop, fitted, raster)

    def _candidates(
        self, logits: torch.Tensor, ious: torch.Tensor, crop: Crop, fitted: tuple[int, int], raster: tuple[int, ...]
    ) -> list[Candidate]:
        """Enlarges logits [N, h, w] to the crop, filters by stability and crop edges, encodes at the raster's size."""
        parameters = self.parameters
        large = enlarged(logits, self.model.side_px, fitted, (crop.height, crop.width))
        stability = stability_scores(large, parameters.stability_score_offset)
        masks = large > MASK_THRESHOLD
        del large
        if parameters.stability_score_thresh > 0:
            is_kept = stability >= parameters.stability_score_thresh
            masks, stability, ious = masks[is_kept], stability[is_kept], ious[is_kept]
        if not len(masks):
            return []
        boxes = boxes_of(masks) + masks.new_tensor([crop.left, crop.top] * 2, dtype=torch.float32)
        is_whole = ~is_cut_off(boxes, crop, *raster)
        masks, boxes, stability, ious = masks[is_whole], boxes[is_whole], stability[is_whole], ious[is_whole]
        counts = [_encode(mask, box, crop, raster) for mask, box in zip(masks, boxes.int().tolist(), strict=True)]
        given = (None if math.isnan(score) else score for score in stability.tolist())
        rows = zip(counts, map(tuple, boxes.tolist()), ious.tolist(), given, strict=True)
        return [Candidate(*row, crop) for row in rows]

    def _crop_scores(self, masks: list[Candidate]) -> list[float]:
        """Returns scores by which masks of different crops are suppressed: the higher of two is kept."""
        if self.parameters.crop_nms_order == "predicted_iou":
            return [mask.predicted_iou for mask in masks]
        return [1 / (mask.crop.height * mask.crop.width) for mask in masks]

    def _without_small_regions(self, masks: list[Candidate], height: int, width: int) -> list[Candidate]:
        """Fills small holes, removes small islands, and suppresses what became alike, changed masks before others."""
        parameters = self.parameters
        cleaned, scores = [], []
        for mask in masks:
            pixels = run_lengths.decode(mask.counts, height, width)
            clean = without_small_regions(pixels, parameters.min_mask_region_area)
            scores.append(float(clean is pixels))
            box = tuple(boxes_of(torch.from_numpy(np.ascontiguousarray(clean))[None])[0].tolist())
            cleaned.append(replace(mask, counts=run_lengths.encode(clean), box=box))
        return _suppress(cleaned, scores, max(parameters.box_nms_thresh, parameters.crop_nms_thresh))


def _even_parts(points: np.ndarray, at_once: int | None) -> list[np.ndarray]:
    """Cuts points [N, 2] into as few parts as possible of at most so many each, equal but for one point.

    A part is at least half full, if there are several: MKL sums matrices of few rows in another order than large ones.
    """
    return np.array_split(points, math.ceil(len(points) / at_once)) if at_once else [points]


def enlarged(logits: torch.Tensor, side_px: int, fitted: tuple[int, int], size: tuple[int, int]) -> torch.Tensor:
    """Enlarges mask logits from the encoder's padded square to a raster, by bilinear interpolation.

    Args:
        logits: [N, h, w], over the padded square.
        side_px: side of the padded square.
        fitted: height and width of the resized raster in the square.
        size: height and width of the raster.

    Returns:
        float32 [N, height, width].
    """
    square = interpolate(logits[:, None].float(), (side_px, side_px), mode="bilinear", align_corners=False)
    inside = square[..., : fitted[0], : fitted[1]]
    if fitted == size:
        return inside[:, 0]
    return interpolate(inside, size, mode="bilinear", align_corners=False)[:, 0]


def stability_scores(logits: torch.Tensor, offset: float) -> torch.Tensor:
    """Returns the IoU of each mask at a threshold raised by the offset with that at one lowered by it.

    As `calculate_stability_score` in utils/amg.py of segment-anything 1.0.

    Args:
        logits: [N, H, W].
        offset: of the logits.

    Returns:
        float32 [N], 0..1; not a number where no pixel passes the lower threshold.
    """
    high, low = (
        torch.count_nonzero(logits > MASK_THRESHOLD + shift, dim=(1, 2)).to(torch.int32) for shift in (offset, -offset)
    )
    return high / low


def _suppress(masks: list[Candidate], scores: list[float], iou_threshold: float) -> list[Candidate]:
    """Non-maximum suppression by the IoU of boxes. Returns what is kept, highest score first, ties in order."""
    if not masks:
        return []
    boxes = torch.tensor([mask.box for mask in masks], dtype=torch.float32)
    kept = nms(boxes, torch.tensor(scores, dtype=torch.float32), iou_threshold)
    return [masks[number] for number in kept.tolist()]


def _encode(mask: torch.Tensor, box: list[int], crop: Crop, raster: tuple[int, ...]) -> str:
    """Encodes a crop's mask, bool [h, w], at the raster's size (height, width). The box is in pixels of the raster."""
    x_min, y_min, x_max, y_max = box
    part = mask[y_min - crop.top : y_max + 1 - crop.top, x_min - crop.left : x_max + 1 - crop.left]
    return run_lengths.encode_part(part.cpu().numpy(), y_min, x_min, raster[0], raster[1])
