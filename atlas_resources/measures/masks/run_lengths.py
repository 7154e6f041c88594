"""Masks as COCO's compressed run lengths: coding, area, bounding box, digest, and how far masks overlap.

The only module that imports pycocotools. A mask is bool [H, W], True inside. Its runs go down the columns, and the
first one is outside the mask. Run lengths do not hold the size of their mask, so every function takes it.

An empty mask is a valid mask: one run of H * W pixels, area 0, box (0, 0, 0, 0). It overlaps no mask, not even itself:
its intersection over union is 0. A segment has at least one pixel, so an empty mask is not sealed
(`shape.part_of` refuses it).
"""

import hashlib
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

Mask = NDArray[np.bool_]


def require_mask(mask: Mask) -> Mask:
    """Returns the mask. Raises ValueError for anything but bool [H, W]."""
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise ValueError(f"a mask is bool [H, W], found {mask.dtype} {list(mask.shape)}")
    return mask


def encode(mask: Mask) -> str:
    """Run lengths of a mask in COCO's printable coding, ASCII. Raises ValueError for anything but bool [H, W]."""
    return encode_part(require_mask(mask), 0, 0, *mask.shape)


def encode_part(part: Mask, top: int, left: int, height_px: int, width_px: int) -> str:
    """Run lengths of a mask that is empty outside one box. Only the box is read.

    Args:
        part: bool [h, w], the mask inside the box.
        top: row of the box's first pixel.
        left: column of the box's first pixel.
        height_px: of the whole mask.
        width_px: of the whole mask.
    """
    columns = np.zeros((part.shape[1], height_px), np.bool_)
    columns[:, top : top + part.shape[0]] = part.T
    turns = np.flatnonzero(np.diff(columns.ravel(), prepend=False, append=False)) + left * height_px
    total = height_px * width_px
    ends = turns if len(turns) and turns[-1] == total else np.append(turns, total)
    runs: Any = {"size": [height_px, width_px], "counts": np.diff(ends, prepend=0).tolist()}
    return str(cast(bytes, coco.frPyObjects(runs, height_px, width_px)["counts"]), "ascii")


def decode(counts: str, height_px: int, width_px: int) -> Mask:
    """The mask bool [H, W] of run lengths.

    It is stored column by column, as it is coded. Copying it into row order would take twice as long as decoding it.
    """
    return np.asarray(coco.decode(_coco(counts, height_px, width_px))).view(np.bool_)


def mask_sha256(counts: str, height_px: int, width_px: int) -> str:
    """sha256 of "<height>x<width>:<counts>", hex. It is the same for equal masks only."""
    return hashlib.sha256(f"{height_px}x{width_px}:{counts}".encode()).hexdigest()


def area_px(counts: str, height_px: int, width_px: int) -> int:
    """Pixels in the mask. Nothing is unpacked."""
    return int(coco.area(_coco(counts, height_px, width_px)))


def bounding_box(counts: str, height_px: int, width_px: int) -> tuple[int, int, int, int]:
    """The smallest box around the mask, in pixels: x_min, y_min, x_max, y_max. Nothing is unpacked.

    x_max and y_max are one past the last pixel. The box of an empty mask is (0, 0, 0, 0).
    """
    x_min, y_min, width, height = (int(side) for side in coco.toBbox(_coco(counts, height_px, width_px)))
    return x_min, y_min, x_min + width, y_min + height


def union(masks: Sequence[str], height_px: int, width_px: int) -> str:
    """Run lengths of all pixels that any of the masks covers; of no masks, an empty mask. Nothing is unpacked."""
    if not masks:
        return encode(np.zeros((height_px, width_px), np.bool_))
    return str(cast(bytes, coco.merge(_each(masks, height_px, width_px))["counts"]), "ascii")


def common_px(masks: Sequence[str], other: str, height_px: int, width_px: int) -> NDArray[np.int64]:
    """Pixels that each of the masks has in common with another mask, int64 [N]. Nothing is unpacked."""
    if not masks:
        return np.zeros(0, np.int64)
    each = _each(masks, height_px, width_px)
    # pycocotools divides the pixels in common with a crowd by the mask's own area, so multiplying by it is exact.
    shares = np.asarray(coco.iou(each, _each([other], height_px, width_px), [1]))[:, 0]
    return np.rint(shares * np.asarray(coco.area(each), np.float64)).astype(np.int64)


def overlaps(masks: Sequence[str], height_px: int, width_px: int) -> NDArray[np.float64]:
    """Intersection over union of every two masks (the Jaccard index). Nothing is unpacked.

    Returns:
        float64 [N, N], 0..1, symmetric. The diagonal is 1, or 0 for an empty mask.
    """
    if not masks:
        return np.zeros((0, 0))
    each = _each(masks, height_px, width_px)
    return np.asarray(coco.iou(each, each, [0] * len(each)), np.float64)


def _coco(counts: str, height_px: int, width_px: int) -> Any:
    """A mask as pycocotools takes it; its stubs name a private type."""
    return {"size": [height_px, width_px], "counts": counts.encode()}


def _each(masks: Sequence[str], height_px: int, width_px: int) -> Any:
    return [_coco(counts, height_px, width_px) for counts in masks]
