"""The outline of a segment as an SVG path in pixels of the plate's picture. Nothing is read here."""

from functools import cache

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from atlas_resources.measures.masks.outlines import simplify_rings, trace_rings
from atlas_resources.measures.masks.run_lengths import decode
from atlas_resources.page.folder.pictures import LONGEST_PX

TOLERANCE_PX = 1.0
"""Greatest distance of the simplified outline from the mask's, in pixels of the picture."""
MIN_RING_AREA_PX = 4.0
"""Smaller rings, holes included, are left out: a few pixels of the screen. The largest ring is always kept."""


def path_of_polygons(multipolygon: str, scale: float) -> str:
    """The path of polygons that an instrument traced.

    Args:
        multipolygon: GeoJSON, in pixels of the mask.
        scale: pixels of the picture by a pixel of the mask.
    """
    shape = shapely.transform(shapely.from_geojson(multipolygon), lambda points: points * scale)
    rings = [ring for polygon in shapely.get_parts(shape) for ring in (polygon.exterior, *polygon.interiors)]
    return _path(simplify_rings(np.array(rings, dtype=object), TOLERANCE_PX, MIN_RING_AREA_PX))


def path_of_mask(counts: str, height_px: int, width_px: int, picture: tuple[int, int]) -> str:
    """The path of a mask, traced at the size of the picture.

    Args:
        counts: COCO's run lengths.
        height_px, width_px: of the mask.
        picture: width and height of the picture in pixels.
    """
    mask = np.ascontiguousarray(decode(counts, height_px, width_px))
    small = _resized(mask, picture)
    if small.any():
        return _path(trace_rings(small, TOLERANCE_PX, MIN_RING_AREA_PX))
    # Too thin for the picture's pixels: traced as it is.
    scale = picture[0] / width_px
    rings = shapely.transform(trace_rings(mask, 0.0), lambda points: points * scale)
    return _path(simplify_rings(rings, TOLERANCE_PX, MIN_RING_AREA_PX))


def _resized(mask: NDArray[np.bool_], picture: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask at the picture's size: the pixels that are covered by half or more."""
    if (mask.shape[1], mask.shape[0]) == picture:
        return mask
    grey = Image.fromarray(mask.view(np.uint8) * np.uint8(255))
    return np.asarray(grey.resize(picture, Image.Resampling.BOX)) >= 128


def _path(rings: NDArray[np.object_]) -> str:
    """Rings as one path, to a tenth of a pixel; by the even-odd rule, rings inside others are holes."""
    points, of_ring = shapely.get_coordinates(rings, return_index=True)
    texts = _tenths()
    shown = [texts[value] for value in np.clip(np.rint(points * 10), 0, len(texts) - 1).astype(int).ravel().tolist()]
    ends = np.flatnonzero(np.diff(of_ring, append=-1)).tolist()  # of each ring, the corner that repeats the first
    path, start = [], 0
    for end in ends:
        corners = map(" ".join, zip(shown[2 * start : 2 * end : 2], shown[2 * start + 1 : 2 * end : 2], strict=True))
        path.append(f"M{'L'.join(corners)}Z")
        start = end + 1
    return "".join(path)


@cache
def _tenths() -> list[str]:
    """Every coordinate of a picture as text, by its tenths of a pixel: many times as quick as formatting each."""
    return [f"{value / 10:g}" for value in range(10 * LONGEST_PX + 1)]
