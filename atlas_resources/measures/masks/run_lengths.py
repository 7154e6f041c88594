"""COCO's compressed run lengths: how a mask is kept small. What it means is not for here."""

from typing import Any, cast

import numpy as np


def encode(pixels: np.ndarray) -> str:
    """Run lengths of one mask. Raises ValueError for anything but bool [H, W]."""
    if pixels.dtype != np.bool_ or pixels.ndim != 2:
        raise ValueError(f"a mask is bool [H, W], found {pixels.dtype} {list(pixels.shape)}")
    return encode_part(pixels, 0, 0, *pixels.shape)


def encode_part(part: np.ndarray, top: int, left: int, height_px: int, width_px: int) -> str:
    """Run lengths of a mask of [height_px, width_px] that is bool `part` [h, w] at a row and column and else empty.

    COCO runs down the columns: only the part's own are looked at.
    """
    from pycocotools import mask as coco

    columns = np.zeros((part.shape[1], height_px), dtype=bool)
    columns[:, top : top + part.shape[0]] = part.T
    turns = np.flatnonzero(np.diff(columns.ravel(), prepend=False, append=False)) + left * height_px
    total = height_px * width_px
    ends = turns if len(turns) and turns[-1] == total else np.append(turns, total)
    runs: Any = {"size": [height_px, width_px], "counts": np.diff(ends, prepend=0).tolist()}
    return str(cast(bytes, coco.frPyObjects(runs, height_px, width_px)["counts"]), "ascii")


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
