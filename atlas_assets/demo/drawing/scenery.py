"""Scenery around a subject: branch, shallows, reeds, ground, weed. It is not part of the true mask."""

import numpy as np

from atlas_assets.demo.drawing.motifs import leaf
from atlas_assets.demo.drawing.pen import Point, blade, ellipse, points_of, ribbon, smooth
from atlas_assets.demo.drawing.press import Line, Part


def branch(start: Point, end: Point, width: float, rng: np.random.Generator) -> list[Part]:
    """A bough with bark lines, a few twigs, leaves and berries along it."""
    along = np.linspace(0, 1, 6)
    middle = np.outer(1 - along, start) + np.outer(along, end)
    middle[1:-1, 1] += (rng.random(4) - 0.5) * width * 1.2
    bark = [Line(smooth(middle + np.array([[0, shift * width]])), 0.4) for shift in (-0.28, -0.08, 0.12, 0.26, 0.38)]
    bough = Part(
        ribbon(middle, [width * 1.25, width, width * 0.9, width * 0.8, width * 0.45]),
        "bark",
        lines=tuple(bark),
        hatch=0.8,
        hatch_angle_deg=75,
        is_subject=False,
    )
    parts = []
    for spot, rise in ((0.12, -1.0), (0.80, -1.0), (0.93, 1.0)):
        foot = (float(np.interp(spot, along, middle[:, 0])), float(np.interp(spot, along, middle[:, 1])))
        parts += _twig(foot, rise, width, rng)
    return [*parts, bough]


def _twig(foot: Point, rise: float, width: float, rng: np.random.Generator) -> list[Part]:
    """A side twig with three leaves and a berry; `rise` is -1 for up the page, +1 for down."""
    lean = 0.10 + 0.10 * rng.random()
    tip = (foot[0] + lean, foot[1] + rise * (0.16 + 0.08 * rng.random()))
    half = ((foot[0] + tip[0]) / 2 + 0.02, (foot[1] + tip[1]) / 2)
    parts = [Part(ribbon([foot, half, tip], [width * 0.4, width * 0.2]), "bark", hatch=0.5, is_subject=False)]
    for base, aim in ((half, (-0.15, 0.10 * rise)), (tip, (0.16, 0.02 * rise)), (tip, (-0.03, 0.17 * rise))):
        parts.append(leaf(base, (base[0] + aim[0], base[1] + aim[1]), 0.42, bend=(rng.random() - 0.5) * 0.3))
    berry = (half[0] + 0.06, half[1] + 0.05)
    stalk = Part(ribbon([half, berry], [0.008, 0.008]), "bark", hatch=0, contour=0.5, is_subject=False)
    return [*parts, stalk, Part(ellipse(berry, (0.026, 0.028)), "berry", hatch=0.7, roundness=1.0, is_subject=False)]


def shallows(centre: Point, width: float, rng: np.random.Generator) -> list[Part]:
    """Water under a wading bird: a low wash with ripples."""
    x, y = centre
    pool = smooth(
        [(x - width, y + 0.02), (x - 0.4 * width, y - 0.035), (x + 0.5 * width, y - 0.03), (x + width, y + 0.01),
         (x + 0.6 * width, y + 0.07), (x - 0.5 * width, y + 0.08)],
        is_closed=True,
    )  # fmt: skip
    ripples = []
    for _ in range(46):
        left, level = x + (rng.random() * 2 - 1) * width, y - 0.04 + 0.12 * rng.random()
        length = 0.08 + 0.22 * rng.random()
        ripples.append(Line(smooth([(left, level), (left + length / 2, level + 0.008), (left + length, level)]), 0.5))
    return [Part(pool, "water", lines=tuple(ripples), hatch=0.2, hatch_angle_deg=0, contour=0, is_subject=False)]


def reeds(foot: Point, spread: float, rng: np.random.Generator) -> list[Part]:
    """A tuft of reeds, blades of unequal height bending outwards, with one bulrush."""
    parts = []
    for index in range(9):
        lean = (index / 8 - 0.5) * 2
        height = 0.45 + 0.40 * rng.random()
        base = (foot[0] + lean * spread * 0.25, foot[1] + 0.02 * rng.random())
        tip = (foot[0] + lean * spread * (0.5 + 0.6 * rng.random()), foot[1] - height)
        outline = blade(base, tip, 0.045, bend=0.12 * lean, fullness=0.3)
        parts.append(Part(outline, "leaf", hatch=0.5, hatch_angle_deg=85, contour=0.7, is_subject=False))
    top = (foot[0] + 0.04, foot[1] - 0.92)
    parts.append(Part(ribbon([foot, top], [0.012, 0.010]), "leaf", hatch=0.3, contour=0.6, is_subject=False))
    head = ellipse((top[0], top[1] + 0.03), (0.022, 0.085), angle_deg=2)
    return [*parts, Part(head, "bark", hatch=0.8, hatch_angle_deg=0, roundness=0.9, is_subject=False)]


def ground(centre: Point, width: float, rng: np.random.Generator) -> list[Part]:
    """Earth or sand under a subject: a thin wash, broken horizontal strokes, a few pebbles."""
    x, y = centre
    bed = smooth(
        [(x - width, y), (x - 0.5 * width, y - 0.03), (x + 0.4 * width, y - 0.025), (x + width, y + 0.005),
         (x + 0.5 * width, y + 0.05), (x - 0.4 * width, y + 0.055)],
        is_closed=True,
    )  # fmt: skip
    strokes = []
    for _ in range(60):
        left, level = x + (rng.random() * 2 - 1.1) * width, y - 0.03 + 0.085 * rng.random()
        strokes.append(Line(points_of([(left, level), (left + 0.05 + 0.14 * rng.random(), level + 0.004)]), 0.6))
    parts = [Part(bed, "ground", lines=tuple(strokes), hatch=0.15, hatch_angle_deg=0, contour=0, is_subject=False)]
    for _ in range(7):
        stone = ellipse(
            (x + (rng.random() * 1.6 - 0.8) * width, y + 0.03 * rng.random() + 0.01),
            (0.015 + 0.03 * rng.random(), 0.010 + 0.014 * rng.random()),
        )
        parts.append(Part(stone, "bark", hatch=0.7, roundness=0.9, contour=0.7, is_subject=False))
    return parts


def weed(foot: Point, height: float, rng: np.random.Generator) -> list[Part]:
    """Water weed: a few wavy ribbons from one foot."""
    parts = []
    for index in range(4):
        lean = (index - 1.5) * 0.07
        top = height * (0.55 + 0.45 * rng.random())
        wave = 0.07 * (rng.random() - 0.5)
        middle = [
            (foot[0] + lean * 0.3, foot[1]),
            (foot[0] + lean + wave, foot[1] - top * 0.35),
            (foot[0] + lean - wave, foot[1] - top * 0.7),
            (foot[0] + lean * 1.6, foot[1] - top),
        ]
        outline = ribbon(middle, [0.02, 0.036, 0.030, 0.006])
        parts.append(Part(outline, "leaf", hatch=0.55, hatch_angle_deg=80, contour=0.7, is_subject=False))
    return parts
