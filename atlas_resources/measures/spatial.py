"""Sharpness and edges of luma, over every pixel of a picture, a strip of rows at a time."""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from atlas_resources.measures.windows import row_strips

# Strips of this size fit a core's cache.
STRIP_PIXELS = 1 << 18

# scikit-image divides each kernel by 4 and takes the root mean square of two directions. Levels are 0..255.
SOBEL_SCALE = 4 * math.sqrt(2) * 255


def laplacian_variance(luma: NDArray[np.uint8]) -> float:
    """Variance of the 4-neighbour Laplacian (0 1 0 / 1 -4 1 / 0 1 0), a measure of sharpness. Its sums are exact.

    J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000. The border is mirrored about
    the outermost pixels: `cv2.Laplacian(luma, cv2.CV_64F, ksize=1, borderType=cv2.BORDER_REFLECT_101).var()`.

    Args:
        luma: uint8 [H, W], at least one pixel.

    Returns:
        0..1040400, in squared levels of 0..255.
    """
    total = total_of_squares = 0
    for padded in _padded_strips(luma, "reflect"):
        laplacian = laplacian_of(padded)
        total += int(laplacian.sum(dtype=np.int64))
        total_of_squares += int(np.square(laplacian, dtype=np.int32).sum(dtype=np.int64))
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
    for padded in _padded_strips(luma, "symmetric"):
        total += float(np.sqrt(squared_gradient_of(padded), dtype=np.float32).sum(dtype=np.float64))
    return total / (SOBEL_SCALE * luma.size)


def laplacian_of(padded: NDArray[np.int16]) -> NDArray[np.int16]:
    """The 4-neighbour Laplacian of all but the outermost pixels: int16 [H - 2, W - 2] of int16 [H, W], H and W > 2."""
    return padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * padded[1:-1, 1:-1]


def squared_gradient_of(padded: NDArray[np.int16]) -> NDArray[np.int32]:
    """Sum of squares of both integer Sobel responses of all but the outermost pixels: int32 [H - 2, W - 2].

    Its root over SOBEL_SCALE is the magnitude of `skimage.filters.sobel` of luma / 255.
    """
    smoothed = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    across = smoothed[:, 2:] - smoothed[:, :-2]
    differences = padded[2:] - padded[:-2]
    down = differences[:, :-2] + 2 * differences[:, 1:-1] + differences[:, 2:]
    return np.square(across, dtype=np.int32) + np.square(down, dtype=np.int32)


def _padded_strips(luma: NDArray[np.uint8], border: Literal["reflect", "symmetric"]) -> Iterator[NDArray[np.int16]]:
    """Strips as int16 [rows + 2, W + 2], each with the pixels around it, or np.pad's border at the picture's edge."""
    height, width = luma.shape
    for rows in row_strips(height, width, STRIP_PIXELS):
        with_neighbours = luma[max(rows.start - 1, 0) : rows.stop + 1].astype(np.int16)
        yield np.pad(with_neighbours, ((rows.start == 0, rows.stop == height), (1, 1)), mode=border)
