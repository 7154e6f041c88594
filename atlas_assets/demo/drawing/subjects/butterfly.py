"""A butterfly with open wings over a sprig, seen from above."""

import numpy as np

from atlas_assets.demo.drawing.motifs import down, leaf
from atlas_assets.demo.drawing.pen import Points, ellipse, points_of, ribbon, smooth
from atlas_assets.demo.drawing.press import Line, Part

MIRROR = np.array([[-1.0, 1.0]])


def draw_butterfly(rng: np.random.Generator) -> list[Part]:
    """Sprig, hind wings, fore wings, body and antennae; left and right alike."""
    tail = 0.10 + 0.22 * rng.random()
    spots = rng.integers(3, 6)
    parts = _sprig(rng)
    for mirror in (np.array([[1.0, 1.0]]), MIRROR):
        parts += _hind_wing(mirror, tail, int(spots))
        parts += _fore_wing(mirror, int(spots))
    return [*parts, *_body(rng)]


def _sprig(rng: np.random.Generator) -> list[Part]:
    """A small leafy stem below: the food plant that such plates show."""
    stem = [(-0.34, 1.02), (0.0, 0.94), (0.30, 0.98), (0.52, 0.90)]
    parts = [Part(ribbon(stem, [0.014, 0.016, 0.008]), "bark", hatch=0.4, is_subject=False)]
    for x, y, dx, dy in (
        (-0.2, 0.98, -0.14, 0.13),
        (0.06, 0.95, 0.10, -0.17),
        (0.24, 0.97, 0.10, 0.15),
        (0.5, 0.91, 0.2, -0.03),
    ):
        parts.append(leaf((x, y), (x + dx, y + dy), 0.45, bend=(rng.random() - 0.5) * 0.3))
    return parts


def _fore_wing(mirror: Points, spots: int) -> list[Part]:
    """Dark-bordered fore wing: border, coloured field with veins, pale spots, a band near the tip."""
    edge = smooth(
        [(0.05, -0.28), (0.30, -0.56), (0.66, -0.80), (0.96, -0.86), (1.0, -0.74), (0.88, -0.42), (0.80, -0.12),
         (0.58, 0.02), (0.30, 0.04), (0.06, -0.06)],
        is_closed=True,
    )  # fmt: skip
    field = smooth(
        [(0.06, -0.24), (0.32, -0.46), (0.60, -0.62), (0.76, -0.60), (0.74, -0.38), (0.66, -0.14), (0.48, -0.05),
         (0.24, -0.02), (0.07, -0.08)],
        is_closed=True,
    )  # fmt: skip
    ends = [(0.96, -0.84), (0.97, -0.66), (0.90, -0.46), (0.84, -0.26), (0.76, -0.08), (0.52, 0.02)]
    veins = _veins((0.06, -0.20), (0.40, -0.36), ends, mirror)
    dots = [(0.86 - 0.055 * i, -0.68 + 0.15 * i) for i in range(spots)]
    return [
        Part(edge * mirror, "dark", lines=veins, hatch=0.3, roundness=0.4),
        Part(field * mirror, "primary", lines=veins, hatch=0.45, roundness=0.5, contour=0.7),
        _patch([(0.24, -0.30), (0.40, -0.40), (0.44, -0.30), (0.30, -0.18)], "secondary", mirror),
        *(Part(ellipse(dot, (0.030, 0.022), 40) * mirror, "light", hatch=0.3, contour=0.6) for dot in dots),
    ]


def _hind_wing(mirror: Points, tail: float, spots: int) -> list[Part]:
    """Hind wing with a tail, an inner field and eye spots along its border."""
    edge = smooth(
        [(0.05, -0.10), (0.30, -0.10), (0.60, 0.00), (0.74, 0.22), (0.68, 0.48), (0.54, 0.64), (0.46, 0.66 + tail),
         (0.36, 0.68), (0.20, 0.62), (0.08, 0.36)],
        is_closed=True,
    )  # fmt: skip
    field = smooth(
        [
            (0.06, -0.04),
            (0.32, -0.02),
            (0.54, 0.08),
            (0.60, 0.26),
            (0.50, 0.44),
            (0.32, 0.50),
            (0.16, 0.42),
            (0.07, 0.2),
        ],
        is_closed=True,
    )
    ends = [(0.66, 0.02), (0.74, 0.26), (0.66, 0.50), (0.47, 0.68 + tail), (0.26, 0.66), (0.12, 0.44)]
    veins = _veins((0.06, 0.0), (0.28, 0.14), ends, mirror)
    parts = [
        Part(edge * mirror, "dark", lines=veins, hatch=0.3, roundness=0.4),
        Part(field * mirror, "secondary", lines=veins, hatch=0.45, roundness=0.5, contour=0.7),
    ]
    for index in range(spots):
        centre = (0.64 - 0.085 * index, 0.36 + 0.065 * index + 0.02 * (index == 1))
        parts.append(Part(ellipse(centre, (0.040, 0.034)) * mirror, "accent", hatch=0.4, contour=0.8))
        parts.append(Part(ellipse(centre, (0.018, 0.015)) * mirror, "dark", hatch=0, contour=0.5))
    return parts


def _patch(corners: list[tuple[float, float]], pigment: str, mirror: Points) -> Part:
    return Part(smooth(corners, is_closed=True) * mirror, pigment, hatch=0.3, contour=0.6)


def _veins(
    root: tuple[float, float], fork: tuple[float, float], ends: list[tuple[float, float]], mirror: Points
) -> tuple[Line, ...]:
    """Veins from the wing's root through its cell to the border."""
    veins = []
    for index, end in enumerate(ends):
        lean = 0.03 * (index - len(ends) / 2)
        middle = (fork[0] * 0.8 + end[0] * 0.2 + lean * 0.3, fork[1] * 0.8 + end[1] * 0.2 + lean)
        veins.append(Line(smooth([root, middle, end]) * mirror, 0.7))
    return tuple(veins)


def _body(rng: np.random.Generator) -> list[Part]:
    """Abdomen with rings, downy thorax, head and two clubbed antennae."""
    rings = tuple(Line(points_of([(-0.07, y), (0.0, y + 0.015), (0.07, y)]), 0.7) for y in np.arange(0.06, 0.5, 0.05))
    abdomen = ribbon([(0.0, -0.04), (0.0, 0.2), (0.0, 0.50)], [0.09, 0.11, 0.09, 0.03])
    thorax = ellipse((0.0, -0.17), (0.078, 0.16))
    parts = [
        Part(abdomen, "dark", lines=rings, hatch=0.6, roundness=0.9),
        Part(thorax, "secondary", lines=tuple(down(thorax, 0.03, 90, rng)), hatch=0.7, roundness=0.9),
        Part(ellipse((0.0, -0.36), (0.052, 0.048)), "dark", hatch=0.4, roundness=0.9),
    ]
    for sign in (1.0, -1.0):
        feeler = ribbon([(0.02 * sign, -0.40), (0.12 * sign, -0.66), (0.30 * sign, -0.86)], [0.012, 0.010, 0.012])
        parts.append(Part(feeler, "dark", hatch=0, contour=0.4))
        parts.append(Part(ellipse((0.305 * sign, -0.865), (0.016, 0.032), 45 * sign), "dark", hatch=0, contour=0.4))
    return parts
