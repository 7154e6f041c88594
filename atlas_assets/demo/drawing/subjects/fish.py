"""A fish in profile over a little weed. It faces right; the pose may mirror it."""

import numpy as np

from atlas_assets.demo.drawing.motifs import eye, scallops
from atlas_assets.demo.drawing.pen import Points, ellipse, points_of, ribbon, smooth
from atlas_assets.demo.drawing.press import Line, Part
from atlas_assets.demo.drawing.scenery import ground, weed


def draw_fish(rng: np.random.Generator) -> list[Part]:
    """Fins behind, then the scaled body with its belly and markings, then head, eye and the near fin."""
    depth = 0.33 + 0.07 * rng.random()
    body = smooth(
        [
            (0.88, 0.02), (0.74, -0.55 * depth), (0.48, -0.92 * depth), (0.12, -depth), (-0.24, -0.74 * depth),
            (-0.54, -0.32 * depth), (-0.64, -0.24 * depth), (-0.64, 0.20 * depth), (-0.50, 0.32 * depth),
            (-0.20, 0.74 * depth), (0.14, 0.98 * depth), (0.48, 0.86 * depth), (0.76, 0.42 * depth),
        ],
        is_closed=True,
    )  # fmt: skip
    parts = [*ground((0.0, 0.70), 0.9, rng), *weed((-0.68, 0.72), 0.62, rng), *weed((0.66, 0.71), 0.36, rng)]
    parts += _fins(depth)
    parts.append(Part(body, "primary", lines=tuple(scallops(body, 0.058, 180)), hatch=0.5, roundness=0.85))
    return [*parts, *_markings(body, depth, has_bars=rng.random() < 0.5), *_fish_head(body, depth)]


def _fins(depth: float) -> list[Part]:
    """Tail, dorsal, anal and pelvic fins with their rays."""
    tail = smooth(
        [(-0.58, -0.02), (-0.74, -0.24), (-1.0, -0.40), (-0.90, -0.12), (-0.86, 0.0), (-0.90, 0.14), (-1.0, 0.42),
         (-0.74, 0.24)],
        is_closed=True,
    )  # fmt: skip
    dorsal = smooth(
        [(0.46, -0.78 * depth), (0.34, -1.62 * depth), (0.10, -1.72 * depth), (-0.14, -1.42 * depth),
         (-0.40, -0.92 * depth), (-0.46, -0.34 * depth), (0.0, -0.7 * depth)],
        is_closed=True,
    )  # fmt: skip
    anal = smooth(
        [(0.02, 0.80 * depth), (-0.16, 1.42 * depth), (-0.36, 1.12 * depth), (-0.44, 0.30 * depth)], is_closed=True
    )
    pelvic = smooth(
        [(0.40, 0.80 * depth), (0.30, 1.46 * depth), (0.12, 1.40 * depth), (0.20, 0.84 * depth)], is_closed=True
    )
    return [
        _fin(tail, (-0.50, 0.0), 26),
        _fin(dorsal, (0.22, 0.2), 24),
        _fin(anal, (-0.02, 0.0), 14),
        _fin(pelvic, (0.36, 0.10), 10),
    ]


def _fin(outline: Points, root: tuple[float, float], rays: int) -> Part:
    """A membrane with rays running from its root to points spread over its outline."""
    spread = outline[np.linspace(0, len(outline) - 1, rays).astype(int)]
    lines = tuple(Line(points_of([root, tuple(end)]), 0.6) for end in spread)
    return Part(outline, "secondary", lines=lines, hatch=0.25, roundness=0.4)


def _markings(body: Points, depth: float, has_bars: bool) -> list[Part]:
    """Pale belly, dark back, and either cross bars or a stripe along the side."""
    back = points_of(
        [(0.9, -1.2 * depth), (0.9, -0.50 * depth), (0.2, -0.66 * depth), (-0.7, -0.08), (-0.7, -1.2 * depth)]
    )
    belly = smooth(
        [
            (0.85, 0.10),
            (0.5, 0.36 * depth),
            (0.1, 0.52 * depth),
            (-0.66, 0.12),
            (-0.3, 1.3 * depth),
            (0.6, 1.3 * depth),
        ],
        is_closed=True,
    )
    scale_lines = tuple(scallops(body, 0.058, 180))
    parts = [
        Part(back, "dark", lines=scale_lines, within=body, hatch=0.5, contour=0),
        Part(belly, "light", lines=scale_lines, within=body, hatch=0.6, contour=0),
    ]
    if has_bars:
        for x in (0.28, 0.06, -0.16, -0.36):
            bar = ribbon([(x + 0.04, -depth), (x, -0.2 * depth), (x + 0.03, 0.62 * depth)], [0.09, 0.08, 0.02])
            parts.append(Part(bar, "accent", lines=scale_lines, within=body, hatch=0.5, contour=0.4))
    else:
        stripe = ribbon([(0.56, -0.10 * depth), (0.0, -0.14 * depth), (-0.62, 0.0)], [0.05, 0.09, 0.04])
        parts.append(Part(stripe, "accent", lines=scale_lines, within=body, hatch=0.4, contour=0.5))
    return parts


def _fish_head(body: Points, depth: float) -> list[Part]:
    """Smooth head with its gill cover, mouth, eye, and the near pectoral fin."""
    head = smooth(
        [(0.95, 0.0), (0.8, -0.9 * depth), (0.55, -1.1 * depth), (0.46, -0.62 * depth), (0.36, 0.02),
         (0.47, 0.62 * depth), (0.66, 1.0 * depth), (0.85, 0.6 * depth)],
        is_closed=True,
    )  # fmt: skip
    gill = Line(smooth([(0.62, -0.58 * depth), (0.50, -0.24 * depth), (0.49, 0.2 * depth), (0.60, 0.60 * depth)]), 1.0)
    cheek = Line(smooth([(0.68, -0.2 * depth), (0.62, 0.15 * depth), (0.68, 0.46 * depth)]), 0.6)
    mouth = Line(smooth([(0.88, 0.05), (0.82, 0.085), (0.75, 0.07)]), 1.4)
    fin = smooth(
        [(0.44, 0.14 * depth), (0.28, -0.02), (0.12, 0.02), (0.08, 0.14), (0.22, 0.20), (0.40, 0.36 * depth)],
        is_closed=True,
    )
    return [
        Part(head, "secondary", lines=(gill, cheek, mouth), within=body, hatch=0.7, contour=0.9),
        *eye((0.70, -0.22 * depth), 0.036),
        _fin(fin, (0.46, 0.06), 13),
        Part(ellipse((0.835, -0.12 * depth), (0.008, 0.006)), "dark", hatch=0, contour=0),
    ]
