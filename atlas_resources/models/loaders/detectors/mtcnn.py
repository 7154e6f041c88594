"""MTCNN: faces, by a cascade of three small networks. The names of modules are those of the pinned files.

K. Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", IEEE Signal
Processing Letters 23(10), 2016. Networks and cascade as in facenet-pytorch 2.5.3, `models/mtcnn.py` and
`models/utils/detect_face.py`, which does not install beside this project's pins.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate
from torchvision.ops import nms

from atlas_resources.instruments.parameters.detecting import MtcnnParameters
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._state_dicts import build_empty, fill, read_tensors
from atlas_resources.models.protocols import Detection
from atlas_resources.models.weights import LocatedWeights

CELL_PX, STRIDE_PX = 12, 2  # of the first network: the side of what one cell of its map sees, and between cells
SIDES_PX = (24, 48)  # inputs of the second and third network
WITHIN_SCALE_IOU, ACROSS_IOU, LAST_OVERLAP = 0.5, 0.7, 0.7
"""Of non-maximum suppression: within a scale, across scales, and last by the share of the smaller box."""
SEEN_AT_ONCE = 512  # crops


class ByColumns(nn.Module):
    """Flattens maps [N, C, H, W] column by column, as the original Caffe networks, to [N, W * H * C]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns [N, W * H * C] for [N, C, H, W]."""
        return x.permute(0, 3, 2, 1).flatten(1)


class Stage(nn.Module):
    """A network of the cascade: a trunk, a head of two classes and a head of four box offsets.

    Args:
        trunk: modules by name, in order.
        heads: modules by name: classes, offsets, and in the last network landmarks, which are not computed.
    """

    def __init__(self, trunk: Mapping[str, nn.Module], heads: Mapping[str, nn.Module]):
        super().__init__()
        self.trunk_names, self.head_names = list(trunk), list(heads)
        for name, module in {**trunk, **heads}.items():
            self.add_module(name, module)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the score of a face [N, ...], 0..1, and the offsets of its box [N, 4, ...]."""
        for name in self.trunk_names:
            x = self.get_submodule(name)(x)
        classes, offsets = (self.get_submodule(name)(x) for name in self.head_names[:2])
        return torch.softmax(classes, dim=1)[:, 1], offsets


def proposal_network() -> Stage:
    """P-Net: a fully convolutional network, one cell for each `STRIDE_PX`."""
    trunk = {
        **{"conv1": nn.Conv2d(3, 10, 3), "prelu1": nn.PReLU(10), "pool1": nn.MaxPool2d(2, 2, ceil_mode=True)},
        **{"conv2": nn.Conv2d(10, 16, 3), "prelu2": nn.PReLU(16)},
        **{"conv3": nn.Conv2d(16, 32, 3), "prelu3": nn.PReLU(32)},
    }
    return Stage(trunk, {"conv4_1": nn.Conv2d(32, 2, 1), "conv4_2": nn.Conv2d(32, 4, 1)})


def refinement_network() -> Stage:
    """R-Net, for crops of 24 x 24 pixels."""
    trunk = {
        **{"conv1": nn.Conv2d(3, 28, 3), "prelu1": nn.PReLU(28), "pool1": nn.MaxPool2d(3, 2, ceil_mode=True)},
        **{"conv2": nn.Conv2d(28, 48, 3), "prelu2": nn.PReLU(48), "pool2": nn.MaxPool2d(3, 2, ceil_mode=True)},
        **{"conv3": nn.Conv2d(48, 64, 2), "prelu3": nn.PReLU(64), "flat": ByColumns()},
        **{"dense4": nn.Linear(576, 128), "prelu4": nn.PReLU(128)},
    }
    return Stage(trunk, {"dense5_1": nn.Linear(128, 2), "dense5_2": nn.Linear(128, 4)})


def output_network() -> Stage:
    """O-Net, for crops of 48 x 48 pixels."""
    trunk = {
        **{"conv1": nn.Conv2d(3, 32, 3), "prelu1": nn.PReLU(32), "pool1": nn.MaxPool2d(3, 2, ceil_mode=True)},
        **{"conv2": nn.Conv2d(32, 64, 3), "prelu2": nn.PReLU(64), "pool2": nn.MaxPool2d(3, 2, ceil_mode=True)},
        **{"conv3": nn.Conv2d(64, 64, 3), "prelu3": nn.PReLU(64), "pool3": nn.MaxPool2d(2, 2, ceil_mode=True)},
        **{"conv4": nn.Conv2d(64, 128, 2), "prelu4": nn.PReLU(128), "flat": ByColumns()},
        **{"dense5": nn.Linear(1152, 256), "prelu5": nn.PReLU(256)},
    }
    heads = {"dense6_1": nn.Linear(256, 2), "dense6_2": nn.Linear(256, 4), "dense6_3": nn.Linear(256, 10)}
    return Stage(trunk, heads)


class Mtcnn:
    """Finds faces."""

    def __init__(self, stages: tuple[Stage, Stage, Stage], parameters: MtcnnParameters):
        self.first, self.second, self.third = stages
        self.parameters = parameters

    @torch.inference_mode()
    def detect(self, image: torch.Tensor) -> list[Detection]:
        """Returns the faces of one image, float32 [3, H, W], whose score is above the last threshold."""
        height_px, width_px = image.shape[1:]
        boxes = _squared(self._proposed(image))
        boxes, offsets = self._looked_at(image, boxes, self.second, SIDES_PX[0], self.parameters.second_threshold)
        kept = nms(boxes[:, :4], boxes[:, 4], ACROSS_IOU)
        boxes = _squared(_moved(boxes[kept], offsets[kept]))
        boxes, offsets = self._looked_at(image, boxes, self.third, SIDES_PX[1], self.parameters.third_threshold)
        boxes = _without_overlapping(_moved(boxes, offsets))
        sides = np.array([width_px, height_px, width_px, height_px], dtype=np.float32)
        return [Detection(box[:4] / sides, "face", float(box[4]), "0") for box in boxes.numpy()]

    def _proposed(self, image: torch.Tensor) -> torch.Tensor:
        """Boxes of the first network over a pyramid of scales: [N, 5], left, top, right, bottom, score; pixels."""
        found = [self._at_scale(image, scale) for scale in _scales(image, self.parameters)]
        boxes = torch.cat([torch.zeros(0, 9), *found])
        boxes = boxes[nms(boxes[:, :4], boxes[:, 4], ACROSS_IOU)]
        sides = (boxes[:, 2:4] - boxes[:, :2]).repeat(1, 2)
        return torch.cat([boxes[:, :4] + boxes[:, 5:] * sides, boxes[:, 4:5]], dim=1)

    def _at_scale(self, image: torch.Tensor, scale: float) -> torch.Tensor:
        """Boxes [N, 9] of one scale: left, top, right, bottom, score, four offsets."""
        size = [int(side * scale + 1) for side in image.shape[1:]]
        scores, offsets = self.first(interpolate(image[None], size=size, mode="area"))
        is_face = scores[0] >= self.parameters.first_threshold
        cells = is_face.nonzero().flip(1).float()
        corners = [((STRIDE_PX * cells + 1) / scale).floor(), ((STRIDE_PX * cells + CELL_PX) / scale).floor()]
        boxes = torch.cat([*corners, scores[0][is_face][:, None], offsets[0][:, is_face].T], dim=1)
        return boxes[nms(boxes[:, :4], boxes[:, 4], WITHIN_SCALE_IOU)]

    def _looked_at(
        self, image: torch.Tensor, boxes: torch.Tensor, stage: Stage, side_px: int, threshold: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The boxes that a network scores above a threshold, with the new scores [N, 5], and their offsets [N, 4]."""
        height_px, width_px = image.shape[1:]
        edges = boxes[:, :4].trunc().int()
        left_top, right, bottom = edges[:, :2].clamp(min=1) - 1, edges[:, 2], edges[:, 3]
        spans = torch.cat([left_top, right.clamp(max=width_px)[:, None], bottom.clamp(max=height_px)[:, None]], dim=1)
        is_inside = (spans[:, 2] > spans[:, 0]) & (spans[:, 3] > spans[:, 1])
        boxes, spans = boxes[is_inside], spans[is_inside]
        if not len(boxes):
            return torch.zeros(0, 5), torch.zeros(0, 4)
        crops = [
            interpolate(image[None, :, top:low, left:far], size=(side_px, side_px), mode="area")
            for left, top, far, low in spans.tolist()
        ]
        seen = [stage(part) for part in torch.cat(crops).split(SEEN_AT_ONCE)]
        scores, offsets = torch.cat([one for one, _ in seen]), torch.cat([other for _, other in seen])
        is_face = scores > threshold
        return torch.cat([boxes[is_face, :4], scores[is_face, None]], dim=1), offsets[is_face]


def _scales(image: torch.Tensor, parameters: MtcnnParameters) -> list[float]:
    """Scales at which faces of `min_face_px` and larger are as large as a cell of the first network."""
    scale = CELL_PX / parameters.min_face_px
    shorter, scales = min(image.shape[1:]) * scale, []
    while shorter >= CELL_PX:
        scales.append(scale)
        scale, shorter = scale * parameters.scale_factor, shorter * parameters.scale_factor
    return scales


def _moved(boxes: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Boxes [N, 5] moved by offsets [N, 4], which are shares of their sides counted in whole pixels."""
    sides = (boxes[:, 2:4] - boxes[:, :2] + 1).repeat(1, 2)
    return torch.cat([boxes[:, :4] + offsets * sides, boxes[:, 4:]], dim=1)


def _squared(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes [N, 5] widened to squares about their centres."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    longer = sides.max(dim=1, keepdim=True).values
    corner = boxes[:, :2] + sides * 0.5 - longer * 0.5
    return torch.cat([corner, corner + longer, boxes[:, 4:]], dim=1)


def _without_overlapping(boxes: torch.Tensor) -> torch.Tensor:
    """Drops each box [N, 5] of which, or of a better one, a larger share than LAST_OVERLAP is in the other."""
    areas = (boxes[:, 2:4] - boxes[:, :2] + 1).prod(dim=1)
    left, kept = boxes[:, 4].argsort(), []
    while len(left):
        best, left = left[-1], left[:-1]
        kept.append(int(best))
        low = torch.maximum(boxes[best, :2], boxes[left, :2])
        high = torch.minimum(boxes[best, 2:4], boxes[left, 2:4])
        common = (high - low + 1).clamp(min=0).prod(dim=1)
        left = left[common / torch.minimum(areas[best], areas[left]) <= LAST_OVERLAP]
    return boxes[kept]


def load(spec: Spec, weights: LocatedWeights, device: str) -> Mtcnn:
    """Builds the three networks and fills each from its pinned file, tensors only.

    Raises:
        WeightsMismatch: see `_state_dicts.fill`.
        ValueError: another device than the CPU is declared, or the files are not pnet.pt, rnet.pt and onet.pt.
    """
    if device != "cpu":
        raise ValueError(f"{spec.key}: the loader `mtcnn` computes on the CPU. Declare numeric.device: cpu.")
    paths = {PurePosixPath(name).name: path for name, path in weights.files.items()}
    builders = {"pnet.pt": proposal_network, "rnet.pt": refinement_network, "onet.pt": output_network}
    if paths.keys() != builders.keys():
        raise ValueError(f"{spec.key}: expected the files {', '.join(builders)}, found {', '.join(paths)}")
    first, second, third = (
        fill(build_empty(build), read_tensors(paths[name]), spec, paths[name]) for name, build in builders.items()
    )
    return Mtcnn((first, second, third), MtcnnParameters.model_validate(spec.parameters))  # type: ignore[arg-type] # fill returns what it was given
