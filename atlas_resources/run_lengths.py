"""COCO's compressed run lengths: how a mask is kept small. What it means is not for here."""

from typing import Any, cast

import numpy as np


def encode_by_column(masks: np.ndarray) -> list[str]:
    """Run lengths of masks that already lie column by column: uint8 or bool [N, W, H], C-contiguous."""
    from pycocotools import mask as coco

    by_column = masks.view(np.uint8).transpose(2, 1, 0)  # [H, W, N] in Fortran order, as pycocotools wants it
    return [str(encoded["counts"], "ascii") for encoded in cast(list[dict[str, bytes]], coco.encode(by_column))]


def encode(pixels: np.ndarray) -> str:
    """Run lengths of one mask. Raises ValueError for anything but bool [H, W]."""
    if pixels.dtype != np.bool_ or pixels.ndim != 2:
        raise ValueError(f"a mask is bool [H, W], found {pixels.dtype} {list(pixels.shape)}")
    return encode_by_column(np.ascontiguousarray(pixels.T)[None])[0]


def decode(counts: str, height_px: int, width_px: int) -> np.ndarray:
    """The mask bool [H, W] of run lengths; in column order, as it is coded."""
    from pycocotools import mask as coco

    return np.asarray(coco.decode({"size": [height_px, width_px], "counts": counts})).view(np.bool_)


def area_px(counts: str, height_px: int, width_px: int) -> int:
    """Pixels in the mask, without unpacking it."""
    from pycocotools import mask as coco

    return int(coco.area({"size": [height_px, width_px], "counts": counts.encode("ascii")}))


def union(masks: list[str], height_px: int, width_px: int) -> str:
    """Run lengths of everything that any of the masks covers; of none, an empty mask. Nothing is unpacked."""
    from pycocotools import mask as coco

    if not masks:
        return encode(np.zeros((height_px, width_px), dtype=bool))
    return str(cast(bytes, coco.merge(_coco(masks, height_px, width_px))["counts"]), "ascii")


def common_px(masks: list[str], other: str, height_px: int, width_px: int) -> np.ndarray:
    """Pixels that each of the masks has in common with another, int64 [N]. Nothing is unpacked."""
    from pycocotools import mask as coco

    if not masks:
        return np.zeros(0, dtype=np.int64)
    each = _coco(masks, height_px, width_px)
    # Against a crowd, pycocotools divides what is common by the mask's own area, which undoes without a remainder.
    shares = np.asarray(coco.iou(each, _coco([other], height_px, width_px), [1]))[:, 0]
    return np.rint(shares * np.asarray(coco.area(each), dtype=np.float64)).astype(np.int64)


def _coco(masks: list[str], height_px: int, width_px: int) -> Any:
    return [{"size": [height_px, width_px], "counts": counts.encode("ascii")} for counts in masks]
