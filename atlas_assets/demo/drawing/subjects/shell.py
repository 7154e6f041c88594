"""A nautilus on sand: a logarithmic spiral with flame-like stripes and an open mouth. The pose may mirror it."""

import math

import numpy as np

from atlas_assets.demo.drawing.pen import Points, smooth
from atlas_assets.demo.drawing.press import Line, Part
from atlas_assets.demo.drawing.scenery import ground, weed

GROWTH = 0.176
"""Growth per radian of the spiral r = a e^(GROWTH t): a nautilus triples its radius in a turn (Thompson 1917)."""

LAST_TURN = 2 * math.pi * 2.6
"""Angle, in radians, at which the mouth opens."""


MOUTH_RIM = ((0.0, -0.1), (-0.05, 0.35), (0.15, 0.85), (0.50, 1.0), (0.85, 0.70), (1.05, 0.1), (0.5, -0.4))
MOUTH_HOLLOW = ((0.06, -0.1), (0.05, 0.30), (0.22, 0.66), (0.52, 0.78), (0.80, 0.52), (0.95, 0.0), (0.5, -0.4))
MOUTH_FOLDS = tuple(np.linspace(0.1, 0.9, 14))
"""The mouth's curves as pairs: position from the outer (0) to the inner end (1), and depth in front of the whorl."""


def draw_shell(rng: np.random.Generator) -> list[Part]:
    """Sand, weed, the mouth's inside, the whorl with its stripes, then the spiral's own lines."""
    stripes = int(rng.integers(11, 16))
    turns = np.linspace(LAST_TURN - 2 * math.pi, LAST_TURN, 90)
    whorl = spiral(turns)
    parts = [*ground((0.0, 0.50), 1.0, rng), *weed((0.84, 0.51), 0.50, rng)]
    parts += _mouth(whorl)
    growth = tuple(Line(_rib(turn), 0.45) for turn in np.linspace(turns[0], turns[-1], 120))
    parts.append(Part(whorl, "light", lines=growth, hatch=0.45, roundness=0.9, contour=1.2))
    parts += _stripes(whorl, stripes)
    parts += _inner_whorls(whorl)
    return parts


def spiral(turns: np.ndarray, share: float = 1.0) -> Points:
    """Points of the shell's outer curve at the given angles (radians), its radius multiplied by `share`."""
    radius = 0.88 * share * np.exp(GROWTH * (turns - LAST_TURN))
    angle = turns - LAST_TURN - 0.25
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _rib(turn: float) -> Points:
    """A growth line across the whorl at one angle, curved backwards as the shell's lip is."""
    shares = np.linspace(0.12, 1.0, 8)
    return np.concatenate(
        [spiral(np.array([turn - 0.55 * math.sin(math.pi * share * 0.8)]), share) for share in shares]
    )


def _mouth(whorl: Points) -> list[Part]:
    """The opening: a flared rim from the outer end of the whorl to the turn it rests on, and the hollow inside it."""
    outer, inner = whorl[-1], whorl[0]
    across = inner - outer
    ahead = np.array([-across[1], across[0]]) * -0.34
    rim = smooth([tuple(outer + along * across + depth * ahead) for along, depth in MOUTH_RIM], is_closed=True)
    hollow = smooth([tuple(outer + along * across + depth * ahead) for along, depth in MOUTH_HOLLOW], is_closed=True)
    folds = tuple(
        Line(outer + across * along + np.outer(np.linspace(-0.2, 0.6, 5), ahead), 0.5) for along in MOUTH_FOLDS
    )
    return [
        Part(rim, "light", hatch=0.5, roundness=0.7),
        Part(hollow, "accent", lines=folds, within=rim, hatch=0.9, roundness=0.8, contour=0.8),
    ]


def _stripes(whorl: Points, count: int) -> list[Part]:
    """Flame stripes that start at the back and thin out towards the mouth."""
    parts = []
    for index in range(count):
        turn = LAST_TURN - 2 * math.pi + 0.25 + index * (1.45 * math.pi / count)
        edge = _rib(turn)
        width = 0.30 * (math.pi * 1.45 / count)
        far = _rib(turn + width * 1.9)
        flame = smooth(np.concatenate([edge[2:], far[2:][::-1]]), is_closed=True, samples=4)
        role = "primary" if index % 3 else "secondary"
        parts.append(Part(flame, role, within=whorl, hatch=0.45, contour=0.6))
    return parts


def _inner_whorls(whorl: Points) -> list[Part]:
    """The umbilicus: a dark callus over the earlier turns, and the spiral line around it."""
    knot = spiral(np.linspace(LAST_TURN - 2 * math.pi, LAST_TURN, 60), 0.20)
    seam = Line(spiral(np.linspace(LAST_TURN - 4 * math.pi, LAST_TURN - 2 * math.pi, 60)), 1.0)
    return [Part(knot, "dark", lines=(seam,), within=whorl, hatch=0.4, roundness=0.9)]
