"""The pictures of a made page: simple drawn birds on paper, or given pictures, and sheets of thumbnails of them."""

import base64
import colorsys
import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from support.made_page import Made

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Drawn:
    """A picture, and what is known of it.

    Attributes:
        name: name of its file.
        picture: RGB, at most 800 px.
        body: outline of the bird's body in pixels.
        head: outline of its head.
        paper: `#rrggbb`.
        paper_lightness: CIE L* of the paper, made up.
        colours: `#rrggbb` of body and head.
    """

    name: str
    picture: Image.Image
    body: Points
    head: Points
    paper: str
    paper_lightness: float
    colours: tuple[str, str]

    def thumbnail_size(self, cell_px: int) -> tuple[int, int]:
        """Width and height in pixels inside a cell."""
        scale = cell_px / max(self.picture.size)
        return max(1, round(self.picture.width * scale)), max(1, round(self.picture.height * scale))


def _ellipse(x: float, y: float, a: float, b: float, tilt: float) -> Points:
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    u, v = a * np.cos(turn), b * np.sin(turn)
    px = x + u * np.cos(tilt) - v * np.sin(tilt)
    py = y + u * np.sin(tilt) + v * np.cos(tilt)
    return [(round(float(p), 1), round(float(q), 1)) for p, q in zip(px, py, strict=True)]


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, saturation, value))  # pyright: ignore[reportReturnType]


def _hexadecimal(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _draw(kind: int, width: int, height: int) -> Drawn:
    paper = _rgb(0.11, 0.04 + 0.03 * (kind % 4), 0.97 - 0.03 * (kind % 3))
    body_colour, head_colour = _rgb(kind / 12, 0.45, 0.62), _rgb(kind / 12 + 0.12, 0.5, 0.42)
    image = Image.new("RGB", (width, height), paper)
    pen = ImageDraw.Draw(image)
    x, y, size = width * 0.48, height * 0.5, min(width, height) * 0.26
    tilt = -0.5 + (kind % 5) * 0.2
    body = _ellipse(x, y, size * 1.2, size * 0.62, tilt)
    hx, hy = x + size * 1.2 * np.cos(tilt), y + size * 1.2 * np.sin(tilt) - size * 0.25
    head = _ellipse(hx, hy, size * 0.42, size * 0.38, 0)
    pen.line([(0, y + size * 1.1), (width, y + size * 0.8)], fill=_rgb(0.08, 0.35, 0.45), width=max(2, int(size / 9)))
    tail = [(x - size * 0.9, y - size * 0.3 * np.sin(tilt)), (x - size * 2, y + size * 0.5), (x - size * 1.9, y)]
    pen.polygon(tail, fill=head_colour)
    for points, colour in ((body, body_colour), (head, head_colour)):
        pen.polygon(points, fill=colour, outline=(40, 36, 32))
    pen.polygon([(hx + size * 0.38, hy - 6), (hx + size * 0.85, hy + 4), (hx + size * 0.38, hy + 8)], fill=(70, 60, 40))
    pen.ellipse([hx + 4, hy - size * 0.16, hx + 4 + size * 0.1, hy - size * 0.06], fill=(20, 18, 16))
    for turn in range(5):
        pen.arc([x - size + turn * 9, y - size / 2, x + size / 2 + turn * 9, y + size / 2], 20, 120, (40, 36, 32), 1)
    lightness = round(100 * sum(paper) / 765, 1)
    colours = (_hexadecimal(body_colour), _hexadecimal(head_colour))
    return Drawn(f"{kind:064x}.jpg", image, body, head, _hexadecimal(paper), lightness, colours)


def _given(number: int, path: Path) -> Drawn:
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail((800, 800))
    width, height = image.size
    few = image.resize((8, 8)).quantize(4).convert("RGB").getcolors() or []
    colours = [_hexadecimal(c) for _, c in sorted(few, reverse=True)]  # pyright: ignore[reportArgumentType]
    body = _ellipse(width * 0.5, height * 0.5, width * 0.25, height * 0.2, 0.3)
    head = _ellipse(width * 0.7, height * 0.3, width * 0.1, height * 0.08, 0)
    lightness = round(100 * float(np.asarray(image).mean()) / 255, 1)
    return Drawn(f"{number:064x}.jpg", image, body, head, colours[0], lightness, (colours[0], colours[-1]))


def draw_kinds(count: int, pictures: Sequence[Path]) -> list[Drawn]:
    """A drawing of each kind, of different shapes of sheets; or the given pictures."""
    if pictures:
        return [_given(number, path) for number, path in enumerate(pictures)]
    shapes = ((480, 640), (640, 480), (520, 640))
    return [_draw(kind, *shapes[kind % len(shapes)]) for kind in range(count)]


def sheets(made: "Made", cell_px: int, columns: int) -> list[Image.Image]:
    """Square sheets of thumbnails, each centred in its cell."""
    small = [drawn.picture.resize(drawn.thumbnail_size(cell_px)) for drawn in made.drawn]
    each = columns * columns
    found = []
    for first in range(0, made.count, each):
        sheet = Image.new("RGB", (columns * cell_px, columns * cell_px), (255, 255, 255))
        for cell, kind in enumerate(made.kind[first : first + each]):
            width, height = small[kind].size
            x, y = cell % columns * cell_px, cell // columns * cell_px
            sheet.paste(small[kind], (x + (cell_px - width) // 2, y + (cell_px - height) // 2))
        found.append(sheet)
    assert len(found) == ceil(made.count / each)
    return found


def sheet_url(sheet: Image.Image) -> str:
    """A sheet as a data URL."""
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
