"""Small holes and islands of a mask: `remove_small_regions` in utils/amg.py of segment-anything 1.0, without OpenCV."""

import numpy as np
from scipy.ndimage import label

EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)


def without_small_regions(mask: np.ndarray, min_area_px: int) -> np.ndarray:
    """A mask, bool [H, W], whose holes below the area are filled and whose islands below it are taken away.

    Holes and islands hang together at corners. The largest island stays however small it is. Gives the very same array
    where nothing was small.
    """
    holes, sizes = _regions(~mask)
    is_small = sizes < min_area_px
    filled = mask | is_small[holes] if is_small.any() else mask
    islands, sizes = _regions(filled)
    is_small = sizes < min_area_px
    if not is_small.any():
        return filled
    is_small[0] = True  # the ground
    if is_small.all():
        is_small[int(np.argmax(sizes[1:])) + 1] = False
    return ~is_small[islands]


def _regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each pixel's region, 0 outside the mask, and pixels of each; what is outside counts as never small."""
    numbers = np.empty(mask.shape, dtype=np.int32)
    label(mask, structure=EIGHT_CONNECTED, output=numbers)
    sizes = np.bincount(numbers.ravel()).astype(np.float64)
    sizes[0] = np.inf
    return numbers, sizes
