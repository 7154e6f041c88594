"""The caption's lettering: script and capitals that look like words but have no meaning."""

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from atlas_assets.demo.drawing.pen import Point, Points, points_of, smooth

SCRIPT: tuple[tuple[Point, ...], ...] = (
    ((0, 0), (0.25, -1), (0.2, -0.2), (0.42, 0)),
    ((0, 0), (0.2, -1), (0.15, -0.2), (0.4, -0.05), (0.66, -1), (0.6, -0.2), (0.82, 0)),
    ((0, 0), (0.14, -0.95), (0.1, -0.05), (0.32, -0.9), (0.52, -0.8), (0.46, -0.1), (0.68, 0)),
    ((0, 0), (0.36, -0.6), (0.26, -1), (0.05, -0.5), (0.2, 0), (0.5, -0.1)),
    ((0, 0), (0.4, -1.6), (0.26, -2.05), (0.1, -1.2), (0.15, -0.1), (0.42, 0)),
    ((0.05, -0.1), (0.34, -1), (0.02, -0.6), (0.2, 0), (0.5, -0.5), (0.36, -1), (0.66, -0.85)),
    ((0.3, -1), (0.02, -0.5), (0.28, 0), (0.5, -0.9), (0.44, 0.8), (0.2, 1.15), (0.1, 0.7), (0.72, 0)),
)
"""Small letters as points of a stroke: x to the right, y down, base line 0, x-height 1."""

SCRIPT_CAPITALS: tuple[tuple[Point, ...], ...] = (
    ((0.95, -1.7), (0.6, -2.15), (0.2, -1.7), (0.72, -0.85), (0.4, 0.02), (-0.15, -0.35), (0.3, -0.4), (0.95, 0)),
    ((-0.1, -1.6), (0.3, -2.1), (0.5, -1.9), (0.3, -0.3), (0, 0), (0.5, -0.6), (1.1, -2.0), (1.0, -0.3), (1.35, 0)),
    ((1.1, -1.7), (0.7, -2.1), (0.15, -1.2), (0.3, -0.1), (0.8, -0.1), (1.1, -0.5)),
)

CAPITALS: tuple[tuple[tuple[Point, ...], ...], ...] = (
    (((0, -1), (0, 0)),),
    (((0, -1), (0, 0), (0.5, 0)),),
    (((0, -1), (0.6, -1)), ((0.3, -1), (0.3, 0))),
    (((0.5, -1), (0, -1), (0, 0), (0.5, 0)), ((0, -0.52), (0.4, -0.52))),
    (((0, -1), (0.32, 0), (0.64, -1)),),
    (((0, 0), (0.32, -1), (0.64, 0)), ((0.14, -0.4), (0.5, -0.4))),
    (((0, 0), (0, -1), (0.55, 0), (0.55, -1)),),
    (((0, 0), (0, -1), (0.42, -0.95), (0.45, -0.6), (0, -0.5), (0.5, 0)),),
    (((0.55, -0.85), (0.25, -1), (0, -0.5), (0.25, 0), (0.55, -0.15)),),
)
"""Capital letters as polylines, height 1."""


def write_script(ink: Image.Image, centre_px: Point, x_height_px: float, words: int, rng: np.random.Generator) -> None:
    """Writes a centred line of slanted script, thick on the down-strokes. Changes `ink` (L, 0 is black)."""
    strokes, x = [], 0.0
    for _ in range(words):
        word = [np.asarray(SCRIPT_CAPITALS[rng.integers(len(SCRIPT_CAPITALS))]) + np.array([x, 0.0])]
        x = float(word[0][-1, 0])
        for _ in range(int(rng.integers(4, 9))):
            word.append(np.asarray(SCRIPT[rng.integers(len(SCRIPT))]) + np.array([x, 0.0]))
            x = float(word[-1][-1, 0])
        strokes.append(smooth(np.concatenate(word), samples=6))
        x += 0.9
    draw = ImageDraw.Draw(ink)
    for stroke in strokes:
        slanted = np.stack([stroke[:, 0] - 0.42 * stroke[:, 1], stroke[:, 1]], axis=1) - np.array([[x / 2, 0.0]])
        _draw_pen_stroke(draw, slanted * x_height_px + points_of([centre_px]), x_height_px)


def _draw_pen_stroke(draw: ImageDraw.ImageDraw, line_px: Points, x_height_px: float) -> None:
    """Draws a line that is thin going up and thick going down, as a pointed pen writes."""
    corners = [(float(x), float(y)) for x, y in np.round(line_px * 8) / 8]
    for start, end in pairwise(corners):
        fall = (end[1] - start[1]) / max(1e-6, abs(end[0] - start[0]) + abs(end[1] - start[1]))
        draw.line([start, end], fill=0, width=max(1, round(x_height_px * (0.05 + 0.13 * max(0.0, fall)))))


def write_capitals(
    ink: Image.Image, centre_px: Point, height_px: float, letters: int, rng: np.random.Generator
) -> None:
    """Writes a centred line of spaced capitals, broken into words. Changes `ink` (L, 0 is black)."""
    spans, x = [], 0.0
    for index in range(letters):
        glyph = CAPITALS[rng.integers(len(CAPITALS))]
        width = max(point[0] for stroke in glyph for point in stroke)
        spans.append((glyph, x))
        x += width + 0.42 + (0.8 if index % 7 == 6 else 0.0)
    draw = ImageDraw.Draw(ink)
    for glyph, left in spans:
        for stroke in glyph:
            placed = (points_of(stroke) + np.array([[left - x / 2, 0.0]])) * height_px + points_of([centre_px])
            corners = [(float(px), float(py)) for px, py in np.round(placed * 8) / 8]
            draw.line(corners, fill=0, width=max(1, round(0.11 * height_px)), joint="curve")
