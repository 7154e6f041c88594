"""How far the masks of a set overlap, from their run lengths alone: no mask is unpacked."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from atlas_resources.measures.masks.shape import EncodedMask


def mask_overlaps(masks: Sequence[EncodedMask]) -> NDArray[np.float64]:
    """Intersection over union of every two masks of a set, by pycocotools.

    Args:
        masks: of one size.

    Returns:
        float64 [N, N], 0..1, symmetric; 1 on the diagonal of masks with a pixel, 0 for two empty ones.

    Raises:
        ValueError: the masks are not of one size.
    """
    sizes = {(mask.height, mask.width) for mask in masks}
    if len(sizes) > 1:
        raise ValueError(f"masks of one size are needed, found {sorted(sizes)}")
    if not masks:
        return np.zeros((0, 0))
    runs = [{"size": [mask.height, mask.width], "counts": mask.counts.encode("ascii")} for mask in masks]
    found = coco.iou(runs, runs, [0] * len(runs))  # pyright: ignore[reportArgumentType] (its stubs name a private type)
    return np.asarray(found, np.float64)
