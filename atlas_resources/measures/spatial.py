"""Sharpness and edges of luma, over every pixel of a picture, a strip of rows at a time."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from atlas_resources.measures.windows import row_strips

# Strips of this size fit a core's cache.
STRIP_PIXELS = 1 << 18

# scikit-image divides each kernel by 4 and takes the root mean square of two directions. Levels are 0..255.
SOBEL_SCALE = 4 * math.sqrt(2) * 255


def laplacian_variance(luma: NDArray[np.uint8]) -> float:
    """Variance of the 4-neighbour Laplacian (0 1 0 / 1 -4 1 / 0 1 0), a measure of sharpness. Its sums are exact.

    J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.

    Args:
        luma: uint8 [H, W], at least one pixel.

    Returns:
        0..1040400, in squared levels of 0..255.
    """
    import cv2

    total = total_of_squares = 0
    for strip, own in _strips(luma):
        laplacian = laplacian_of(strip)[own]
        # Integers below 2 ** 53. The sum of squares is squared from its root, which leaves a fraction of 1e-4 at most.
        total += round(cv2.sumElems(laplacian)[0])
        total_of_squares += round(cv2.norm(laplacian, cv2.NORM_L2SQR))
    return (luma.size * total_of_squares - total * total) / luma.size**2


def edge_density(luma: NDArray[np.uint8]) -> float:
    """Mean Sobel gradient magnitude: `skimage.filters.sobel(luma / 255).mean()`, to 1e-6 relative.

    scikit-image divides the kernels (1 2 1 by 1 0 -1) by 4, takes the root mean square of the two directions, and
    repeats the outermost pixels at the border. Here gradients and their squares are integers; the root is float32.

    Args:
        luma: uint8 [H, W], at least one pixel.

    Returns:
        0..1.
    """
    total = 0.0
    for strip, own in _strips(luma):
        total += float(gradient_of(strip)[own].sum(dtype=np.float64))
    return total / (SOBEL_SCALE * luma.size)


def laplacian_of(luma: NDArray[np.uint8]) -> NDArray[np.int16]:
    """The 4-neighbour Laplacian: int16 [H, W] of uint8 [H, W]. The border is mirrored about the outermost pixels."""
    import cv2  # takes a quarter of a second, so only a process that measures pixels imports it

    found = cv2.Laplacian(luma, cv2.CV_16S, ksize=1, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(found).astype(np.int16, copy=False)


def gradient_of(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The length of the integer Sobel gradient: float32 [H, W] of uint8 [H, W]. The outermost pixels are repeated.

    Divided by SOBEL_SCALE it is `skimage.filters.sobel(luma / 255)`. Its square is an integer below 2 ** 24, and so
    exact; `cv2.magnitude` would round its root otherwise on other processors.
    """
    import cv2

    across, down = (
        np.asarray(axis).astype(np.float32) for axis in cv2.spatialGradient(luma, borderType=cv2.BORDER_REPLICATE)
    )
    np.square(across, out=across)
    np.square(down, out=down)
    across += down
    return np.sqrt(across, out=across)


def _strips(luma: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.uint8], slice]]:
    """Strips of rows with a row more on either side, where there is one, and which of their rows are their own."""
    height, width = luma.shape
    for rows in row_strips(height, width, STRIP_PIXELS):
        first = max(rows.start - 1, 0)
        yield luma[first : rows.stop + 1], slice(rows.start - first, rows.stop - first)
