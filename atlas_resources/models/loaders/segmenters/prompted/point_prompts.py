"""Geometry of automatic mask generation: crops of a raster, a grid of point prompts, boxes of masks.

After `utils/amg.py` of segment-anything 1.0 and A. Kirillov et al., "Segment Anything", arXiv 2304.02643, appendix B.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from PIL import Image

EDGE_TOLERANCE_PX = 20.0
"""A box this near to the edge of its crop counts as cut off: `is_box_near_crop_edge` in segment-anything 1.0."""


@dataclass(frozen=True)
class Crop:
    """A part of a raster: its layer, and its edges in pixels, right and bottom exclusive. Layer 0 is the raster."""

    layer: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        """Pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Pixels."""
        return self.right - self.left


def lay_crops(height: int, width: int, layers: int, overlap_ratio: float) -> list[Crop]:
    """Returns the whole raster, then for each layer 2 ** layer crops along each side.

    Args:
        height, width: size of the raster in pixels.
        layers: number of layers besides the whole raster.
        overlap_ratio: overlap of neighbouring crops in the first layer, as a share of the raster's short side. It
            halves from layer to layer.
    """
    crops = [Crop(0, 0, 0, width, height)]
    for layer in range(1, layers + 1):
        count = 2**layer
        overlap = int(overlap_ratio * min(height, width) * (2 / count))
        crop_width, crop_height = (math.ceil((overlap * (count - 1) + side) / count) for side in (width, height))
        for column, row in product(range(count), repeat=2):
            left, top = (crop_width - overlap) * column, (crop_height - overlap) * row
            crops.append(Crop(layer, left, top, min(left + crop_width, width), min(top + crop_height, height)))
    return crops


def point_grid(points_per_side: int) -> np.ndarray:
    """Returns x, y of evenly spaced points in the unit square, row by row: float64 [points_per_side ** 2, 2]."""
    offset = 1 / (2 * points_per_side)
    along = np.linspace(offset, 1 - offset, points_per_side)
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def fitted_size(height: int, width: int, side_px: int) -> tuple[int, int]:
    """Returns height and width with the longer side at `side_px`, rounded half up as by segment-anything."""
    scale = side_px * 1.0 / max(height, width)
    return int(height * scale + 0.5), int(width * scale + 0.5)


def encoder_input(raster: np.ndarray, side_px: int, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Returns the input of a SAM encoder: the longer side resized, normalised, zeros added on the right and below.

    Args:
        raster: uint8 [H, W, 3], RGB in sRGB. Resized by Pillow's bilinear filter.
        side_px: side of the encoder's square input.
        mean, std: float32 [3], RGB on the scale 0..255.

    Returns:
        float32 [1, 3, side_px, side_px], on the CPU.
    """
    own_size = raster.shape[0], raster.shape[1]
    height, width = fitted_size(*own_size, side_px)
    fitted = raster
    if (height, width) != own_size:
        fitted = np.asarray(Image.fromarray(raster).resize((width, height), Image.Resampling.BILINEAR))
    pixels = torch.from_numpy(fitted.copy()).permute(2, 0, 1).to(torch.float32)
    normalised = (pixels - mean[:, None, None]) / std[:, None, None]
    return torch.nn.functional.pad(normalised, (0, side_px - width, 0, side_px - height))[None]


def boxes_of(masks: torch.Tensor) -> torch.Tensor:
    """Returns the boxes of masks: x_min, y_min, x_max, y_max, last pixel inclusive, float32 [N, 4] for bool [N, H, W].

    All four are 0 for a mask without a pixel.
    """
    edges = []
    for along in (masks.any(dim=1), masks.any(dim=2)):  # columns [N, W], rows [N, H]
        length = along.shape[1]
        seen = along.to(torch.uint8)
        edges.append((seen.argmax(dim=1), length - 1 - seen.flip(1).argmax(dim=1)))
    (x_min, x_max), (y_min, y_max) = edges
    boxes = torch.stack([x_min, y_min, x_max, y_max], dim=1) * masks.flatten(1).any(dim=1, keepdim=True)
    return boxes.to(torch.float32)


def is_cut_off(boxes: torch.Tensor, crop: Crop, height: int, width: int) -> torch.Tensor:
    """Returns which boxes are at an edge of their crop that is not an edge of the raster: bool [N].

    Args:
        boxes: float32 [N, 4], in pixels of the raster.
        crop: the crop in which they were found.
        height, width: size of the raster in pixels.
    """
    crop_edges = boxes.new_tensor([crop.left, crop.top, crop.right, crop.bottom])
    raster_edges = boxes.new_tensor([0, 0, width, height])
    near_crop, near_raster = ((boxes - edges).abs() <= EDGE_TOLERANCE_PX for edges in (crop_edges, raster_edges))
    return (near_crop & ~near_raster).any(dim=1)
