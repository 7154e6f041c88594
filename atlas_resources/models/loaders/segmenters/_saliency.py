"""From a network's saliency to the mask of a plate's salient subject."""

import numpy as np

from atlas_resources.models.protocols import Mask

SALIENT = "salient"


def mask_of_saliency(saliency: np.ndarray, threshold: float) -> list[Mask]:
    """Returns one mask, where the saliency, stretched from its minimum and maximum to 0..1, reaches the threshold.

    The stretch is that of `normPRED` in u2net_test.py of U-2-Net and of `predict` in rembg's session_simple.py.

    Args:
        saliency: float32 [H, W].
        threshold: of the stretched saliency, 0..1.

    Returns:
        One mask [H, W] of the class `salient`; none where the saliency is the same everywhere.
    """
    low, high = saliency.min(), saliency.max()
    if low == high:
        return []
    return [Mask.encode((saliency - low) / (high - low) >= threshold, SALIENT)]
