"""A mask as polygons with holes, simplified within a tolerance, and how well they agree with the mask.

The tolerance is halved until the polygons agree with the mask as well as asked for.

Coordinates are in pixels of the picture, x to the right and y down. The pixel in column 0 and row 0 covers 0..1 on both
axes.
"""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity
from skimage.measure import find_contours, label

from atlas_resources.measures.windows import bounding_box

Mask = NDArray[np.bool_]

MOST_HALVINGS = 4
"""Of the tolerance, before the contours are taken as they are: a sixteenth of a pixel or two simplifies nothing."""


@dataclass(frozen=True)
class Outline:
    """The polygons of a mask.

    Attributes:
        tolerance_px: the tolerance that the contours were simplified with.
        shape: a valid MultiPolygon. Exteriors run counterclockwise and holes clockwise (RFC 7946, section 3.1.6) if y
            is taken to run up; on a screen, where it runs down, they look the other way round.
        vertex_count: vertices of all rings, without the closing ones.
        hole_count: number of rings that are holes.
        left_out_px: area in pixels of the rings that are too small and were left out.
        area_error_ratio: area of the polygons over that of the mask, minus 1.
        reprojected_iou: intersection over union, 0..1, of the mask and the pixels whose centres are in the polygons.
    """

    tolerance_px: float
    shape: shapely.MultiPolygon
    vertex_count: int
    hole_count: int
    left_out_px: float
    area_error_ratio: float
    reprojected_iou: float


def trace_outline(
    mask: Mask, tolerance_px: float, min_ring_area_px: float = 0.0, min_reprojected_iou: float = 0.0
) -> Outline:
    """Traces the contours of a mask and simplifies them.

    Contours are traced by marching squares, half way between the centres of pixels inside and outside, so each corner
    is cut by half a pixel. Pixels that touch at a corner are connected. Contours are simplified by the method of
    Douglas and Peucker in the variant of GEOS that keeps polygons valid. The result is within the tolerance, but where
    a ring closes within 1.5 times the tolerance, since that vertex may be removed last.

    While the result agrees with the mask less than `min_reprojected_iou`, the contours are simplified anew with half
    the tolerance and half the smallest ring area; after MOST_HALVINGS of them with 0 for both, which gives back every
    pixel.

    Args:
        mask: bool [H, W], at least one pixel.
        tolerance_px: greatest distance from the contour; 0 keeps every vertex that is not on a straight line.
        min_ring_area_px: smaller rings, holes included, are left out. The largest ring is always kept.
        min_reprojected_iou: least intersection over union of the mask and the filled polygons, 0..1.

    Raises:
        ValueError: no pixel of the mask is True.
    """
    rows, columns = bounding_box(mask)
    crop = np.pad(mask[rows, columns], 1)
    if crop.size == 4:
        raise ValueError(f"an outline needs at least one pixel, found an empty mask {list(mask.shape)}")
    traced = _Traced.of(crop)
    outline = traced.simplified(tolerance_px, min_ring_area_px)
    for share in (*(0.5**halving for halving in range(1, MOST_HALVINGS + 1)), 0.0):
        if outline.reprojected_iou >= min_reprojected_iou:
            break
        outline = traced.simplified(tolerance_px * share, min_ring_area_px * share)
    # The crop has a border of one pixel.
    placed = affinity.translate(outline.shape, columns.start - 1, rows.start - 1)
    return replace(outline, shape=cast(shapely.MultiPolygon, placed))


@dataclass(frozen=True)
class _Traced:
    """The contours of a mask whose border is empty, each with its area in pixels and the piece it belongs to."""

    mask: Mask
    rings: NDArray[np.object_]
    pieces: NDArray[np.int64]
    areas: NDArray[np.float64]

    @classmethod
    def of(cls, mask: Mask) -> "_Traced":
        rings, pieces = _rings(mask)
        return cls(mask, rings, pieces, np.asarray(shapely.area(shapely.polygons(rings))))

    def simplified(self, tolerance_px: float, min_ring_area_px: float) -> Outline:
        """The outline in coordinates of the mask."""
        is_drawn = self.areas >= min(min_ring_area_px, self.areas.max())
        polygons = _polygons(self.rings[is_drawn], self.pieces[is_drawn], self.areas[is_drawn])
        shape = _multi(np.asarray(shapely.simplify(polygons, tolerance_px, preserve_topology=True)))
        return Outline(
            tolerance_px=tolerance_px,
            shape=cast(shapely.MultiPolygon, shapely.orient_polygons(shape, exterior_cw=False)),
            vertex_count=int(shapely.get_num_coordinates(shape) - _ring_count(shape)),
            hole_count=_ring_count(shape) - len(shape.geoms),
            left_out_px=float(self.areas[~is_drawn].sum()),
            area_error_ratio=shape.area / int(np.count_nonzero(self.mask)) - 1,
            reprojected_iou=float(_agreement(shape, self.mask)),
        )


def trace_rings(mask: Mask, tolerance_px: float, min_ring_area_px: float = 0.0) -> NDArray[np.object_]:
    """The contours of a mask for a screen, each simplified on its own: many times as quick as `trace_outline`.

    Contours are those of `trace_outline`. Rings that are simplified apart may cross, so they are no polygons; drawn
    together by the even-odd rule, holes are those of the mask.

    Args:
        mask: bool [H, W], at least one pixel.
        tolerance_px: greatest distance from the contour.
        min_ring_area_px: smaller rings are left out, but never the largest.

    Returns:
        LinearRings of shapely, [N].
    """
    rows, columns = bounding_box(mask)
    padded = np.pad(mask[rows, columns], 1).astype(np.float32)
    contours = find_contours(padded, 0.5, fully_connected="high")
    corner = np.array([rows.start - 0.5, columns.start - 0.5])  # the crop has a border of one pixel
    points = np.concatenate([contour + corner for contour in contours])[:, ::-1]
    of_ring = np.repeat(np.arange(len(contours)), [len(contour) for contour in contours])
    return simplify_rings(np.asarray(shapely.linearrings(points, indices=of_ring)), tolerance_px, min_ring_area_px)


def simplify_rings(
    rings: NDArray[np.object_], tolerance_px: float, min_ring_area_px: float = 0.0
) -> NDArray[np.object_]:
    """Rings simplified each on its own by the method of Douglas and Peucker, without those that are too small.

    Args:
        rings: LinearRings of shapely, [N], N > 0.
        tolerance_px, min_ring_area_px: as of `trace_rings`.
    """
    areas = np.asarray(shapely.area(shapely.polygons(rings)))
    kept = rings[areas >= min(min_ring_area_px, areas.max())]
    return np.asarray(shapely.simplify(kept, tolerance_px, preserve_topology=False))


def fill_outline(shape: shapely.MultiPolygon, height: int, width: int) -> Mask:
    """The pixels whose centres are in the polygons, bool [height, width].

    A scan line runs through the centres of each row, and every edge that it crosses switches between inside and
    outside. A centre on a left or upper edge is inside, one on a right or lower edge is outside.
    """
    rings = [ring for polygon in shape.geoms for ring in (polygon.exterior, *polygon.interiors)]
    points = [shapely.get_coordinates(ring) - 0.5 for ring in rings]
    starts = np.concatenate([ring[:-1] for ring in points] or [np.zeros((0, 2))])
    ends = np.concatenate([ring[1:] for ring in points] or [np.zeros((0, 2))])
    first = np.ceil(np.minimum(starts[:, 1], ends[:, 1])).astype(int)
    crossed = np.ceil(np.maximum(starts[:, 1], ends[:, 1])).astype(int) - first
    edge = np.repeat(np.arange(len(starts)), crossed)
    rows = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed, crossed)
    slope = (ends[edge, 0] - starts[edge, 0]) / (ends[edge, 1] - starts[edge, 1])
    columns = np.ceil(starts[edge, 0] + (rows - starts[edge, 1]) * slope).astype(int)
    turns = np.zeros((height, width + 1), np.bool_)
    is_shown = (rows >= 0) & (rows < height)
    np.logical_xor.at(turns, (rows[is_shown], np.clip(columns[is_shown], 0, width)), True)
    return np.logical_xor.accumulate(turns, axis=1)[:, :-1]


def _rings(padded: Mask) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """The closed contours of a mask whose border is empty, and the connected piece that each belongs to."""
    pieces = np.asarray(label(padded, connectivity=2))
    contours = find_contours(padded.astype(np.float32), 0.5, fully_connected="high")
    # A vertex is between the centre of a pixel inside and of one outside. The one inside has the label of the piece.
    first = np.array([contour[0] for contour in contours])
    low, high = np.floor(first).astype(int), np.ceil(first).astype(int)
    piece_of = np.maximum(pieces[low[:, 0], low[:, 1]], pieces[high[:, 0], high[:, 1]])
    rings = [shapely.linearrings(contour[:, ::-1] + 0.5) for contour in contours]
    return np.array(rings, dtype=object), piece_of


def _polygons(rings: NDArray[np.object_], pieces: NDArray[np.int64], areas: NDArray[np.float64]) -> NDArray[np.object_]:
    """One polygon for each piece: its largest ring is the exterior, the others are holes."""
    order = np.lexsort((-areas, pieces))
    starts = np.flatnonzero(np.diff(pieces[order], prepend=-1))
    found = [shapely.Polygon(rings[group[0]], list(rings[group[1:]])) for group in np.split(order, starts[1:])]
    return np.array(found, dtype=object)


def _multi(polygons: NDArray[np.object_]) -> shapely.MultiPolygon:
    """All polygons as one valid shape. Polygons that overlap since they were simplified are merged."""
    shape = shapely.MultiPolygon(list(polygons))
    if shape.is_valid:
        return shape
    return shapely.MultiPolygon(list(shapely.get_parts(shapely.union_all(polygons))))


def _ring_count(shape: shapely.MultiPolygon) -> int:
    return sum(1 + len(polygon.interiors) for polygon in shape.geoms)


def _agreement(shape: shapely.MultiPolygon, mask: Mask) -> float:
    filled = fill_outline(shape, *mask.shape)
    return np.count_nonzero(filled & mask) / np.count_nonzero(filled | mask)
