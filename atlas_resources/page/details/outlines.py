"""The outline of a segment as an SVG path in pixels of the plate's picture. Nothing is read here."""

from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from atlas_resources.measures.masks.outlines import simplify_rings, trace_rings
from atlas_resources.measures.masks.run_lengths import decode

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


def _path(rings: Iterable[shapely.LinearRing]) -> str:
    """Rings as one path; by the even-odd rule, rings inside others are holes."""
    return "".join(_closed(shapely.get_coordinates(ring)[:-1].tolist()) for ring in rings)


def _closed(points: Sequence[Sequence[float]]) -> str:
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points) + "Z"


def _short(value: float) -> str:
    """A coordinate to a tenth of a pixel, without a needless zero."""
    return f"{value:.1f}".removesuffix(".0")
