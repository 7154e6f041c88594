"""COCO's compressed run lengths: how a mask is kept small. What it means is not for here."""

from typing import cast

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
