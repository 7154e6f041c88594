"""Two birds: one on a branch, one in the shallows. They face right; the pose may mirror them."""

import numpy as np

from atlas_assets.demo.drawing.motifs import down, eye, feather, leg, scallops
from atlas_assets.demo.drawing.pen import Point, Points, ellipse, points_of, ribbon, smooth
from atlas_assets.demo.drawing.press import Line, Part
from atlas_assets.demo.drawing.scenery import branch, reeds, shallows


def draw_perched_bird(rng: np.random.Generator) -> list[Part]:
    """A songbird on a twig: tail, body, belly and cap, folded wing, beak and eye."""
    body = smooth(
        [
            (0.66, -0.56), (0.55, -0.71), (0.38, -0.74), (0.22, -0.64), (0.10, -0.44), (-0.10, -0.20), (-0.34, 0.08),
            (-0.52, 0.34), (-0.44, 0.44), (-0.20, 0.46), (0.10, 0.38), (0.36, 0.18), (0.53, -0.10), (0.58, -0.32),
            (0.65, -0.45),
        ],
        is_closed=True,
    )  # fmt: skip
    tail_length = 0.62 + 0.22 * rng.random()
    has_crest = rng.random() < 0.5
    parts = [*branch((-0.95, 0.86), (1.0, 0.56), 0.075, rng), *_perched_tail(tail_length)]
    parts += leg([(-0.02, 0.36), (0.02, 0.52), (0.10, 0.66)], 0.035, [(0.22, 0.68), (0.19, 0.74), (0.02, 0.75)])
    parts += leg([(0.16, 0.30), (0.22, 0.46), (0.32, 0.60)], 0.035, [(0.44, 0.63), (0.41, 0.70), (0.24, 0.72)])
    if has_crest:
        parts += [feather((0.40, -0.66), (0.12 - 0.05 * i, -0.92 + 0.07 * i), 0.22, "primary") for i in range(3)]
    parts += _perched_body(body, rng)
    return [*parts, *_folded_wing(), *_songbird_head(), *eye((0.50, -0.55), 0.038)]


def _perched_tail(length: float) -> list[Part]:
    """Six tail feathers from the rump, the outer ones first."""
    base = (-0.40, 0.30)
    fan = [(-0.80, 0.60), (-0.58, 0.81), (-0.75, 0.66), (-0.63, 0.77), (-0.69, 0.72)]
    return [
        feather(base, (base[0] + x * length, base[1] + y * length), 0.17, "dark" if i < 2 else "secondary", bend=0.03)
        for i, (x, y) in enumerate(fan)
    ]


def _perched_body(body: Points, rng: np.random.Generator) -> list[Part]:
    """The body with pale belly and coloured cap, both clipped to it."""
    belly = smooth(
        [(0.46, 0.02), (0.22, 0.06), (-0.10, 0.22), (-0.42, 0.36), (-0.30, 0.60), (0.3, 0.5)], is_closed=True
    )
    cap = smooth([(0.72, -0.58), (0.50, -0.61), (0.30, -0.50), (0.05, -0.36), (0.1, -0.9), (0.6, -0.9)], is_closed=True)
    return [
        Part(body, "primary", lines=tuple(down(body, 0.052, 125, rng)), hatch=0.65, roundness=0.75),
        Part(belly, "light", lines=tuple(down(belly, 0.06, 140, rng, 0.4)), within=body, hatch=0.75, contour=0),
        Part(cap, "secondary", lines=tuple(down(cap, 0.042, 160, rng)), within=body, hatch=0.6, contour=0),
    ]


def _folded_wing() -> list[Part]:
    """Primaries, secondaries over them, then the scalloped shoulder."""
    parts = []
    for index in range(6):
        slip = index / 5
        base = (0.06 - 0.10 * slip, -0.02 - 0.08 * slip)
        tip = (-0.86 + 0.30 * slip, 0.60 - 0.20 * slip)
        parts.append(feather(base, tip, 0.16 + 0.03 * slip, "dark", bend=0.05))
    for index in range(5):
        slip = index / 4
        base = (0.20 - 0.16 * slip, 0.06 - 0.20 * slip)
        tip = (-0.36 + 0.10 * slip, 0.36 - 0.24 * slip)
        parts.append(feather(base, tip, 0.27, "secondary", bend=0.06))
    shoulder = smooth(
        [(0.40, -0.16), (0.26, -0.34), (0.05, -0.30), (-0.14, -0.08), (-0.16, 0.10), (0.08, 0.14), (0.30, 0.06)],
        is_closed=True,
    )
    bar = ribbon([(-0.17, 0.02), (-0.02, 0.13), (0.16, 0.13), (0.32, 0.04)], [0.03, 0.06, 0.06, 0.03])
    parts.append(Part(shoulder, "primary", lines=tuple(scallops(shoulder, 0.085, 140)), hatch=0.6, roundness=0.6))
    parts.append(Part(bar, "accent", hatch=0.4, contour=0.7))
    return parts


def _songbird_head() -> list[Part]:
    """A short conical beak, lower mandible first, and the dark line before the eye."""
    lower = smooth([(0.63, -0.52), (0.74, -0.50), (0.82, -0.485), (0.72, -0.425), (0.63, -0.43)], is_closed=True)
    upper = smooth([(0.62, -0.61), (0.72, -0.58), (0.87, -0.475), (0.74, -0.475), (0.62, -0.48)], is_closed=True)
    mask = ribbon([(0.64, -0.52), (0.52, -0.54), (0.40, -0.53)], [0.06, 0.08, 0.02])
    return [
        Part(mask, "dark", hatch=0.3, contour=0.4),
        Part(lower, "horn", hatch=0.5, contour=0.8),
        Part(upper, "horn", lines=(Line(points_of([(0.66, -0.56), (0.70, -0.55)]), 0.7),), hatch=0.5, contour=0.9),
    ]


def draw_wading_bird(rng: np.random.Generator) -> list[Part]:
    """A heron standing in shallow water among reeds: legs, plumed body, long neck, dagger beak."""
    reach = 0.10 * rng.random()
    body = smooth(
        [
            (0.30, -0.20), (0.14, -0.30), (-0.10, -0.22), (-0.36, 0.00), (-0.58, 0.22), (-0.44, 0.28), (-0.20, 0.28),
            (0.08, 0.24), (0.28, 0.10), (0.36, -0.06),
        ],
        is_closed=True,
    )  # fmt: skip
    neck: list[Point] = [
        (0.18, -0.06), (0.36, -0.16), (0.44, -0.34), (0.30, -0.52), (0.22, -0.70), (0.30, -0.86), (0.44, -0.90),
    ]  # fmt: skip
    neck_outline = ribbon(neck, [0.30, 0.22, 0.15, 0.12, 0.11, 0.12, 0.11])
    parts = [*shallows((0.0, 0.96), 0.95, rng), *reeds((-0.72, 0.98), 0.30, rng)]
    parts += leg(
        [(-0.10, 0.22), (-0.02 - reach, 0.56), (-0.06, 0.97)], 0.038, [(0.10, 1.0), (-0.02, 1.02), (-0.2, 1.0)]
    )
    parts += leg([(0.04, 0.22), (0.18 + reach, 0.54), (0.16, 0.95)], 0.038, [(0.34, 0.98), (0.24, 1.0), (0.06, 0.98)])
    parts += [feather((-0.30, 0.08), (-0.74 + 0.05 * i, 0.34 + 0.03 * i), 0.18, "dark", bend=0.04) for i in range(4)]
    parts.append(Part(body, "primary", lines=tuple(down(body, 0.05, 150, rng)), hatch=0.65, roundness=0.7))
    parts.append(Part(neck_outline, "secondary", lines=tuple(down(neck_outline, 0.05, 100, rng)), hatch=0.6))
    parts += _throat(neck_outline)
    return [*parts, *_heron_wing(), *_heron_head()]


def _throat(neck_outline: Points) -> list[Part]:
    """The pale stripe down the front of the neck, and the loose plumes at its base."""
    stripe = ribbon(
        [(0.46, -0.84), (0.34, -0.80), (0.28, -0.70), (0.37, -0.50), (0.50, -0.34), (0.40, -0.10)],
        [0.03, 0.05, 0.06, 0.06, 0.06, 0.10],
    )
    plumes = [feather((0.34, -0.16), (0.42 - 0.07 * i, 0.20 + 0.03 * i), 0.13, "light", bend=0.06) for i in range(4)]
    return [Part(stripe, "light", within=neck_outline, hatch=0.6, contour=0.4), *plumes]


def _heron_wing() -> list[Part]:
    """Long primaries and secondaries under a broad scalloped shoulder."""
    parts = [
        feather((0.02 - 0.03 * i, 0.00), (-0.66 + 0.09 * i, 0.30 - 0.05 * i), 0.19, "dark", bend=0.06) for i in range(4)
    ]
    parts += [
        feather((0.10 - 0.05 * i, -0.02 - 0.03 * i), (-0.36 + 0.05 * i, 0.22 - 0.07 * i), 0.24, "secondary", bend=0.08)
        for i in range(4)
    ]
    shoulder = smooth(
        [(0.26, -0.14), (0.12, -0.25), (-0.08, -0.17), (-0.26, -0.02), (-0.18, 0.08), (0.06, 0.10), (0.22, 0.02)],
        is_closed=True,
    )
    return [*parts, Part(shoulder, "primary", lines=tuple(scallops(shoulder, 0.07, 150)), hatch=0.6)]


def _heron_head() -> list[Part]:
    """Head with a trailing crest, a dagger of a beak, and an eye close to it."""
    head = smooth(
        [(0.58, -0.92), (0.50, -0.99), (0.38, -0.99), (0.29, -0.93), (0.34, -0.85), (0.50, -0.85)], is_closed=True
    )
    lower = points_of([(0.54, -0.90), (0.94, -0.855), (0.54, -0.865)])
    upper = points_of([(0.54, -0.95), (0.72, -0.92), (0.97, -0.86), (0.54, -0.895)])
    crest = [feather((0.42, -0.95), (0.02 - 0.05 * i, -0.90 + 0.07 * i), 0.10, "dark", bend=-0.10) for i in range(2)]
    return [
        Part(lower, "horn", hatch=0.5, contour=0.8),
        Part(upper, "horn", lines=(Line(points_of([(0.60, -0.925), (0.68, -0.915)]), 0.6),), hatch=0.4, contour=0.9),
        *crest,
        Part(head, "secondary", hatch=0.6),
        Part(ribbon([(0.56, -0.955), (0.42, -0.975), (0.31, -0.94)], [0.02, 0.05, 0.02]), "dark", hatch=0, contour=0.4),
        *eye((0.505, -0.925), 0.022),
        Part(ellipse((0.60, -0.925), (0.008, 0.004)), "dark", hatch=0, contour=0),
    ]
