"""A flowering stem: two rows of petals around a stippled disc, a bud, and leaves."""

import math

import numpy as np

from atlas_assets.demo.drawing.motifs import leaf
from atlas_assets.demo.drawing.pen import Point, Points, blade, ellipse, midrib, points_of, ribbon
from atlas_assets.demo.drawing.press import Line, Part
from atlas_assets.demo.drawing.scenery import ground


def draw_flower(rng: np.random.Generator) -> list[Part]:
    """Stem and leaves, a bud on its own stalk, then the open flower."""
    petals = int(rng.integers(7, 13))
    tilt = 0.72 + 0.22 * rng.random()
    centre = (0.08, -0.46)
    stem = [(0.02, 0.98), (-0.05, 0.55), (0.03, 0.10), centre]
    parts = ground((0.02, 1.0), 0.34, rng)
    parts += _bud((-0.05, 0.36), (-0.44, -0.20))
    parts += [
        leaf((-0.03, 0.72), (-0.62, 0.34), 0.36, bend=-0.14, is_subject=True, role="foliage"),
        leaf((-0.02, 0.60), (0.60, 0.22), 0.36, bend=0.16, is_subject=True, role="foliage"),
        leaf((0.00, 0.88), (0.46, 0.78), 0.40, bend=0.16, is_subject=True, role="foliage"),
        leaf((0.01, 0.26), (0.40, -0.02), 0.34, bend=-0.10, is_subject=True, role="foliage"),
    ]
    parts.append(Part(ribbon(stem, [0.055, 0.045, 0.036, 0.03]), "foliage", hatch=0.7, hatch_angle_deg=88))
    return [*parts, *_corolla(centre, petals, tilt, rng), *_disc(centre, tilt, rng)]


def _bud(foot: Point, tip: Point) -> list[Part]:
    """A closed bud: folded petals held by green sepals."""
    stalk = ribbon([foot, ((foot[0] + tip[0]) / 2 - 0.03, (foot[1] + tip[1]) / 2 + 0.08), tip], [0.03, 0.02])
    x, y = tip
    petals = [
        _petal((x, y + 0.03), (x + dx, y - 0.27 + abs(dx) * 0.6), 0.36, role)
        for dx, role in ((-0.10, "secondary"), (0.10, "secondary"), (0.0, "primary"))
    ]
    sepals = [
        Part(blade((x, y + 0.06), (x + dx, y - 0.12), 0.45, bend=dx), "foliage", hatch=0.6) for dx in (-0.09, 0.08, 0.0)
    ]
    return [Part(stalk, "foliage", hatch=0.6), *petals, *sepals]


def _petal(base: Point, tip: Point, width: float, role: str, bend: float = 0.0) -> Part:
    """A petal with fine lines running its length."""
    return Part(
        blade(base, tip, width, bend, fullness=0.66),
        role,
        lines=tuple(_petal_lines(base, tip, width)),
        hatch=0.5,
        roundness=0.6,
    )


def _petal_lines(base: Point, tip: Point, width: float) -> list[Line]:
    """Lines fanning from a petal's base, short ones from its tip as well."""
    spine = midrib(base, tip)
    across = np.array([[-(tip[1] - base[1]), tip[0] - base[0]]])
    lines = []
    for slip in np.linspace(-0.42, 0.42, 9):
        swell = np.sin(np.linspace(0, math.pi * 0.75, len(spine)))[:, None]
        line = spine + across * (slip * width) * swell
        stop = len(line) if abs(slip) < 0.02 else int(len(line) * (0.55 + 0.3 * (round(slip * 100) % 2)))
        lines.append(Line(line[:stop], 0.5))
    return lines


def _corolla(centre: Point, petals: int, tilt: float, rng: np.random.Generator) -> list[Part]:
    """Two rows of petals, the back row darker and longer; `tilt` flattens them, as if seen at an angle."""
    parts = []
    for row, (role, length, width) in enumerate((("secondary", 0.52, 0.50), ("primary", 0.44, 0.56))):
        for index in range(petals):
            turn = 2 * math.pi * (index + 0.5 * row) / petals + 0.2
            reach = length * (0.94 + 0.12 * rng.random())
            tip = (centre[0] + reach * math.cos(turn), centre[1] + reach * math.sin(turn) * tilt)
            base = (centre[0] + 0.05 * math.cos(turn), centre[1] + 0.05 * math.sin(turn) * tilt)
            parts.append(_petal(base, tip, width, role, bend=(rng.random() - 0.5) * 0.12))
    return parts


def _disc(centre: Point, tilt: float, rng: np.random.Generator) -> list[Part]:
    """The disc: stippled, ringed by stamens."""
    parts = []
    for index in range(22):
        turn = 2 * math.pi * index / 22
        reach = 0.150 + 0.025 * rng.random()
        tip = (centre[0] + reach * math.cos(turn), centre[1] + reach * math.sin(turn) * tilt)
        parts.append(Part(ribbon([centre, tip], [0.01, 0.008]), "dark", hatch=0, contour=0.3))
        parts.append(Part(ellipse(tip, (0.016, 0.013)), "accent", hatch=0.3, contour=0.6))
    return [
        *parts,
        Part(ellipse(centre, (0.115, 0.115 * tilt)), "accent", lines=_stipple(centre, tilt), hatch=0.6, roundness=1.0),
    ]


def _stipple(centre: Point, tilt: float) -> tuple[Line, ...]:
    """Florets as dots on Vogel's spiral: the n-th at angle n * 137.508 degrees, radius ~ sqrt(n) (Vogel 1979)."""
    dots: list[Line] = []
    for index in range(70):
        turn, radius = math.radians(137.508) * index, 0.108 * math.sqrt(index / 70)
        dot: Points = points_of([(centre[0] + radius * math.cos(turn), centre[1] + radius * math.sin(turn) * tilt)])
        dots.append(Line(np.concatenate([dot - 0.003, dot + 0.003]), 1.1))
    return tuple(dots)
