"""Curves and outlines in subject units, and the pose that places them on a page. Geometry only: no colour.

A subject is centred on the origin, roughly within [-1, 1], x to the right and y down. Points are float64 arrays of
shape (n, 2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Point = tuple[float, float]


def points_of(pairs: Sequence[Point] | Points) -> Points:
    """Pairs (x, y) as a float64 array of shape (n, 2)."""
    return np.asarray(pairs, dtype=np.float64).reshape(-1, 2)


def smooth(pairs: Sequence[Point] | Points, is_closed: bool = False, samples: int = 10) -> Points:
    """A smooth curve through every given point: the uniform Catmull-Rom spline (Catmull and Rom 1974).

    Args:
        pairs: at least two points, in order.
        is_closed: whether the last point connects to the first.
        samples: points per span between two given points.
    """
    knots = points_of(pairs)
    if is_closed:
        ring = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        ring = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    before, start, end, after = ring[:-3], ring[1:-2], ring[2:-1], ring[3:]
    t = (np.arange(samples, dtype=np.float64) / samples)[None, :, None]
    before, start, end, after = (side[:, None, :] for side in (before, start, end, after))
    spans = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t * t
        + (3 * start - before - 3 * end + after) * t * t * t
    )
    curve = spans.reshape(-1, 2)
    return curve if is_closed else np.concatenate([curve, knots[-1:]])


def ribbon(pairs: Sequence[Point] | Points, widths: Sequence[float]) -> Points:
    """The closed outline of a stroke whose width swells and tapers.

    Args:
        pairs: at least two points of the stroke's middle line, which is smoothed.
        widths: full widths, spread evenly along the stroke.
    """
    middle = smooth(pairs)
    along = np.linspace(0.0, 1.0, len(middle))
    half = 0.5 * np.interp(along, np.linspace(0.0, 1.0, len(widths)), np.asarray(widths, dtype=np.float64))
    normal = normals(middle) * half[:, None]
    return np.concatenate([middle + normal, (middle - normal)[::-1]])


def normals(line: Points) -> Points:
    """Unit normals of an open line, one per point, to the right of its direction on the page."""
    step = np.gradient(line, axis=0)
    length = np.maximum(np.sqrt((step * step).sum(axis=1, keepdims=True)), 1e-9)
    return np.stack([-step[:, 1], step[:, 0]], axis=1) / length


def ellipse(centre: Point, radii: Point, angle_deg: float = 0.0, samples: int = 40) -> Points:
    """A closed ellipse, rotated clockwise on the page by `angle_deg`."""
    turn = 2 * math.pi * np.arange(samples) / samples
    flat = np.stack([radii[0] * np.cos(turn), radii[1] * np.sin(turn)], axis=1)
    return turned(flat, angle_deg) + points_of([centre])


def turned(points: Sequence[Point] | Points, angle_deg: float, about: Point = (0.0, 0.0)) -> Points:
    """Points rotated clockwise on the page about one point."""
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    x, y = (points_of(points) - points_of([about])).T
    return np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=1) + points_of([about])


def blade(
    base: Point, tip: Point, width: float, bend: float = 0.0, *, fullness: float = 0.5, is_pointed: bool = False
) -> Points:
    """The closed outline of a leaf, petal or feather between two points.

    Args:
        base: where it is attached.
        tip: its far end.
        width: greatest full width, as a share of its length.
        bend: how far the middle line curves sideways, as a share of the length.
        fullness: where along the length it is widest, 0 (base) to 1 (tip).
        is_pointed: whether both ends are pointed, as a leaf's, or round.
    """
    middle = midrib(base, tip, bend)
    length = math.dist(base, tip)
    along = np.linspace(0.0, 1.0, len(middle))
    widest = min(max(fullness, 0.15), 0.85)
    rise = np.where(along < widest, along / widest, (1 - along) / (1 - widest))
    swell = np.maximum(rise * (2 - rise), 0.0)
    half = 0.5 * width * length * (swell if is_pointed else np.sqrt(swell))
    normal = normals(middle) * half[:, None]
    return np.concatenate([middle + normal, (middle - normal)[::-1]])


def midrib(base: Point, tip: Point, bend: float = 0.0) -> Points:
    """The middle line of a `blade` with the same base, tip and bend."""
    start, end = points_of([base]), points_of([tip])
    across = np.array([[-(end - start)[0, 1], (end - start)[0, 0]]])
    return smooth(np.concatenate([start, (start + end) / 2 + across * bend, end]), samples=12)


@dataclass(frozen=True)
class Pose:
    """A subject's placement on a page: mirrored or not, rotated, scaled to pixels, then moved."""

    centre_px: Point
    scale_px: float
    angle_deg: float = 0.0
    is_mirrored: bool = False

    def place(self, points: Points) -> Points:
        """Points in subject units, shape (n, 2), as page pixels (x, y)."""
        sign = np.array([[-1.0 if self.is_mirrored else 1.0, 1.0]])
        return turned(points * sign, self.angle_deg) * self.scale_px + points_of([self.centre_px])
