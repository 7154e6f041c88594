"""Sharpness and edges of luma inside a mask. Pixels outside the mask, and its outline, have no influence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas_resources.measures.spatial import SOBEL_SCALE, gradient_of, laplacian_of
from atlas_resources.measures.windows import bounding_box, row_strips

# Strips of this size fit a core's cache.
STRIP_PIXELS = 1 << 18


@dataclass(frozen=True)
class Texture:
    """How luma varies from pixel to pixel inside a mask.

    Only interior pixels are measured: those whose eight neighbours are in the mask and the picture too. So the step
    from a segment to its paper is not an edge of the segment, and no pixel beyond the picture's border is assumed.

    Attributes:
        interior_px: number of interior pixels; 0 for lines up to two pixels wide.
        edge_density: mean Sobel gradient magnitude of luma / 255 over them, 0..1; None without interior pixels.
        laplacian_variance: variance of the 4-neighbour Laplacian of luma over them, in squared levels of 0..255; None
            without interior pixels.
    """

    interior_px: int
    edge_density: float | None
    laplacian_variance: float | None


def texture(luma: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Texture:
    """Texture of the pixels of a mask.

    The interior is the mask eroded by a square of 3 x 3, as in `skimage.filters.sobel(luma / 255, mask=mask)`, and the
    magnitudes averaged over it are those of scikit-image. Sums are of integers, except of the magnitudes (float32).

    Args:
        luma: uint8 [H, W].
        mask: bool [H, W].

    Raises:
        ValueError: the shapes differ.
    """
    if luma.shape != mask.shape:
        raise ValueError(f"the mask must have the picture's shape {list(luma.shape)}, found {list(mask.shape)}")
    box = bounding_box(mask)
    luma, mask = luma[box], mask[box]
    interior_px = total = total_of_squares = 0
    magnitudes = 0.0
    for rows in row_strips(max(0, luma.shape[0] - 2), luma.shape[1], STRIP_PIXELS):
        with_neighbours = slice(rows.start, rows.stop + 2)
        is_interior = _eroded(mask[with_neighbours])
        levels = luma[with_neighbours]
        laplacian = laplacian_of(levels)[1:-1, 1:-1][is_interior].astype(np.int64)
        interior_px += len(laplacian)
        total += int(laplacian.sum())
        total_of_squares += int(laplacian @ laplacian)
        magnitudes += float(gradient_of(levels)[1:-1, 1:-1][is_interior].sum(dtype=np.float64))
    if interior_px == 0:
        return Texture(0, None, None)
    variance = (interior_px * total_of_squares - total * total) / interior_px**2
    return Texture(interior_px, magnitudes / (SOBEL_SCALE * interior_px), variance)


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """For all but the outermost pixels, bool [H - 2, W - 2]: whether their 3 x 3 window is wholly in the mask."""
    columns = mask[:-2] & mask[1:-1] & mask[2:]
    return columns[:, :-2] & columns[:, 1:-1] & columns[:, 2:]
