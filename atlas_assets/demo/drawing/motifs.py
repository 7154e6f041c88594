"""Motifs that several subjects share: feathers, leaves, legs, eyes, down, scales. In subject units."""

import numpy as np

from atlas_assets.demo.drawing.pen import Point, Points, blade, ellipse, midrib, normals, points_of, ribbon, smooth
from atlas_assets.demo.drawing.press import Line, Part


def feather(base: Point, tip: Point, width: float, pigment: str, bend: float = 0.0) -> Part:
    """A flight feather: a blunt blade with its shaft and barbs. `width` is a share of the length."""
    outline = blade(base, tip, width, bend, fullness=0.72)
    return Part(
        outline,
        pigment,
        lines=(Line(midrib(base, tip, bend), 0.8), *barbs(base, tip, width, bend, count=13, slant=0.35)),
        hatch=0.35,
        roundness=0.45,
        contour=0.85,
    )


def barbs(base: Point, tip: Point, width: float, bend: float, *, count: int, slant: float) -> list[Line]:
    """Fine lines from a blade's middle line outwards and towards its tip: a leaf's veins, a feather's barbs."""
    middle = midrib(base, tip, bend)
    length = float(np.hypot(tip[0] - base[0], tip[1] - base[1]))
    side = normals(middle) * (0.55 * width * length)
    ahead = np.gradient(middle, axis=0)
    ahead /= np.maximum(np.sqrt((ahead * ahead).sum(axis=1, keepdims=True)), 1e-9)
    lines = []
    for index in np.linspace(1, len(middle) - 2, count).astype(int):
        start, push = middle[index], ahead[index] * slant * width * length
        for sign in (1.0, -1.0):
            end = start + sign * side[index] + push
            bow = start + sign * side[index] * 0.5 + push * 0.35
            lines.append(Line(smooth([tuple(start), tuple(bow), tuple(end)], samples=5), 0.4))
    return lines


def leaf(
    base: Point, tip: Point, width: float, bend: float = 0.0, *, is_subject: bool = False, role: str = "leaf"
) -> Part:
    """A leaf with its midrib and side veins."""
    veins = barbs(base, tip, width, bend, count=8, slant=0.55)
    return Part(
        blade(base, tip, width, bend, fullness=0.42, is_pointed=True),
        role,
        lines=(Line(midrib(base, tip, bend), 1.0), *veins),
        hatch=0.55,
        hatch_angle_deg=20,
        roundness=0.5,
        is_subject=is_subject,
    )


def eye(centre: Point, radius: float, iris: str = "accent") -> list[Part]:
    """A bird's or fish's eye: ring, iris, pupil and the light in it."""
    x, y = centre
    return [
        Part(ellipse(centre, (radius * 1.35, radius * 1.25)), "light", hatch=0, contour=0.6),
        Part(ellipse(centre, (radius, radius)), iris, hatch=0, contour=0.8),
        Part(ellipse(centre, (radius * 0.62, radius * 0.62)), "dark", hatch=0, roundness=0, contour=0.8),
        Part(
            ellipse((x - radius * 0.25, y - radius * 0.28), (radius * 0.2, radius * 0.2)), "glint", hatch=0, contour=0
        ),
    ]


def down(
    region: Points, spacing: float, angle_deg: float, rng: np.random.Generator, weight: float = 0.45
) -> list[Line]:
    """Short parallel strokes in staggered rows over a region's bounding box: breast feathers, fur."""
    low, high = region.min(axis=0), region.max(axis=0)
    turn = np.radians(angle_deg)
    reach = np.array([np.cos(turn), np.sin(turn)]) * spacing * 1.3
    lines = []
    for row, y in enumerate(np.arange(low[1], high[1], 0.7 * spacing)):
        for x in np.arange(low[0] + (row % 2) * spacing / 2, high[0], spacing):
            start = np.array([x, y]) + (rng.random(2) - 0.5) * spacing * 0.5
            bow = start + reach * 0.5 + np.array([-reach[1], reach[0]]) * 0.16
            lines.append(Line(smooth(np.stack([start, bow, start + reach]), samples=4), weight))
    return lines


def scallops(region: Points, spacing: float, angle_deg: float, weight: float = 0.5) -> list[Line]:
    """Rows of small arcs over a region's bounding box, open towards `angle_deg`: scales, covert feathers."""
    low, high = region.min(axis=0), region.max(axis=0)
    swing = np.linspace(-1.25, 1.25, 9)
    turn = np.radians(angle_deg)
    arc = np.stack([np.cos(turn + np.pi + swing), np.sin(turn + np.pi + swing)], axis=1) * spacing * 0.56
    lines = []
    for row, x in enumerate(np.arange(low[0] - spacing, high[0] + spacing, spacing * 0.62)):
        for y in np.arange(low[1] - spacing + (row % 2) * spacing / 2, high[1] + spacing, spacing):
            lines.append(Line(arc + np.array([[x, y]]), weight))
    return lines


def leg(joints: list[Point], width: float, toes: list[Point]) -> list[Part]:
    """A bird's leg: a jointed ribbon and toes that spread from its last joint."""
    foot = joints[-1]
    parts = [
        Part(
            ribbon([foot, ((foot[0] + x) / 2, (foot[1] + y) / 2 - width * 0.5), (x, y)], [width * 0.9, width * 0.5]),
            "horn",
            hatch=0.4,
            contour=0.8,
        )
        for x, y in toes
    ]
    rings = [Line(points_of([(x - width, y), (x + width, y + width * 0.3)]), 0.4) for x, y in smooth(joints, samples=9)]
    shank = Part(ribbon(joints, [width * 1.2, width * 0.9, width]), "horn", lines=tuple(rings), hatch=0.5, contour=0.9)
    return [*parts, shank]
