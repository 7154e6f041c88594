"""Removes small holes and islands of a mask, as `remove_small_regions` in utils/amg.py of segment-anything 1.0."""

import numpy as np
from scipy.ndimage import label

EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)


def without_small_regions(mask: np.ndarray, min_area_px: int) -> np.ndarray:
    """Fills holes and removes islands of fewer pixels than the area, in a mask bool [H, W].

    Regions are 8-connected. The largest island stays, however small it is. Returns the array that was given if nothing
    in it is small.
    """
    holes, sizes = _regions(~mask)
    is_small = sizes < min_area_px
    filled = mask | is_small[holes] if is_small.any() else mask
    islands, sizes = _regions(filled)
    is_small = sizes < min_area_px
    if not is_small.any():
        return filled
    is_small[0] = True  # the background
    if is_small.all():
        is_small[int(np.argmax(sizes[1:])) + 1] = False
    return ~is_small[islands]


def _regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the number of each pixel's region, int32 [H, W], 0 outside the mask, and the pixels of each region.

    The outside counts as infinitely large.
    """
    numbers = np.empty(mask.shape, dtype=np.int32)
    label(mask, structure=EIGHT_CONNECTED, output=numbers)
    sizes = np.bincount(numbers.ravel()).astype(np.float64)
    sizes[0] = np.inf
    return numbers, sizes
