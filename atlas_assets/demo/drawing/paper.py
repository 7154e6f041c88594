"""The sheet of paper: its tone, grain, stains and plate mark, and the print of wash and ink on it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from atlas_assets.demo.drawing.press import Box, Layers, Rgb

SHEETS: dict[str, Rgb] = {
    "warm": (240, 231, 210),
    "cool": (232, 234, 230),
    "aged": (230, 212, 178),
    "cream": (243, 236, 220),
}
"""Paper tones, 8-bit sRGB, chosen by eye after scanned plates."""

INK: Rgb = (42, 34, 30)
GRAIN_TILES_PX = (389, 613)
"""Sides of the two grain tiles, coprime so that their sum does not visibly repeat on a sheet."""


@dataclass(frozen=True)
class Sheet:
    """A sheet of paper: the name of its tone, its size, and the box of the plate mark."""

    tone: str
    width_px: int
    height_px: int
    mark_box: Box


def cloud(size: tuple[int, int], cells: int, depth: float, rng: np.random.Generator) -> Image.Image:
    """Low-frequency noise around 128, at most `depth` levels off: L of the given (width, height)."""
    rows = max(2, round(cells * size[1] / max(size)))
    columns = max(2, round(cells * size[0] / max(size)))
    coarse = rng.integers(-1000, 1001, size=(rows, columns)) * (depth / 1000) + 128
    return Image.fromarray(np.round(coarse).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def lay_paper(sheet: Sheet, unit_px: float, rng: np.random.Generator) -> Image.Image:
    """The empty sheet, RGB: tone, shading, stains, fibre and plate mark.

    Args:
        unit_px: the longer side divided by 3000, in pixels.
    """
    size = (sheet.width_px, sheet.height_px)
    shade = ImageChops.add(cloud(size, 5, 5.0, rng), cloud(size, 40, 2.5, rng), offset=-128)
    shade = ImageChops.add(shade, _edge_darkening(size, rng), offset=-128)
    shade = ImageChops.add(shade, _grain(size, rng), offset=-128)
    stains = _foxing(size, count=26 if sheet.tone == "aged" else 5, unit_px=unit_px, rng=rng)
    _press_plate_mark(shade, sheet.mark_box, unit_px)
    tone = SHEETS[sheet.tone]
    channels = []
    for base, stain_depth in zip(tone, (0.10, 0.22, 0.45), strict=True):
        channel = shade.point([min(255, max(0, base + level - 128)) for level in range(256)])
        channels.append(ImageChops.multiply(channel, stains.point([round(255 - v * stain_depth) for v in range(256)])))
    return Image.merge("RGB", channels)


def _edge_darkening(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Darker towards the sheet's edges, a little more on one side (the gutter). L, at most 128."""
    small = (96, 96)
    x = np.linspace(-1, 1, small[0])[None, :] + (rng.random() - 0.5) * 0.3
    y = np.linspace(-1, 1, small[1])[:, None] + (rng.random() - 0.5) * 0.2
    fall = 3.0 * (x * x * x * x + y * y * y * y) + 6.0 * np.maximum(0, np.abs(x) - 0.93) / 0.07
    level = np.clip(np.round(128 - fall), 100, 128).astype(np.uint8)
    return Image.fromarray(level).resize(size, Image.Resampling.BICUBIC)


def _grain(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Fine paper fibre: L, a few levels around 128."""
    total = np.full((size[1], size[0]), 128, dtype=np.int16)
    for side in GRAIN_TILES_PX:
        noise = Image.fromarray(rng.integers(0, 256, size=(side, side), dtype=np.uint8))
        fibre = np.asarray(noise.filter(ImageFilter.GaussianBlur(0.8)), dtype=np.int16) - 128
        repeats = (-(-size[1] // side), -(-size[0] // side))
        total += np.tile(fibre // 14, repeats)[: size[1], : size[0]]
    return Image.fromarray(total.astype(np.uint8))


def _foxing(size: tuple[int, int], count: int, unit_px: float, rng: np.random.Generator) -> Image.Image:
    """Age spots: L, 0 where the sheet is clean. Drawn at an eighth of the size, since they are soft."""
    spots = Image.new("L", (max(1, size[0] // 8), max(1, size[1] // 8)), 0)
    draw = ImageDraw.Draw(spots)
    for _ in range(count):
        x, y = rng.random() * spots.width, rng.random() * spots.height
        radius = (0.5 + 3.0 * rng.random() ** 3) * unit_px
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(40 + 90 * rng.random()))
    soft = spots.filter(ImageFilter.GaussianBlur(1.2 * unit_px + 0.4))
    return soft.resize(size, Image.Resampling.BICUBIC)


def _press_plate_mark(shade: Image.Image, box: Box, unit_px: float) -> None:
    """The bevel that a copper plate leaves in damp paper: a dark line next to a light one. Changes `shade`."""
    width = max(1, round(3 * unit_px))
    bevel = Image.new("L", shade.size, 128)
    draw = ImageDraw.Draw(bevel)
    x_min, y_min, x_max, y_max = box
    draw.rectangle((x_min - width, y_min - width, x_max + width, y_max + width), outline=138, width=width)
    draw.rectangle(box, outline=104, width=width)
    draw.rectangle((x_min + width, y_min + width, x_max - width, y_max - width), outline=118, width=width)
    margin = 6 * width
    for strip in _frame_strips(box, margin, shade.size):
        blurred = bevel.crop(strip).filter(ImageFilter.GaussianBlur(0.9 * unit_px))
        shade.paste(ImageChops.add(shade.crop(strip), blurred, offset=-128), strip)


def _frame_strips(box: Box, margin: int, size: tuple[int, int]) -> list[Box]:
    """Four disjoint boxes that cover a rectangle's sides, clipped to the page."""
    x_min, y_min, x_max, y_max = box
    left, right = max(0, x_min - margin), min(size[0], x_max + margin)
    top, bottom = max(0, y_min - margin), min(size[1], y_max + margin)
    return [
        (left, top, right, y_min + margin),
        (left, y_max - margin, right, bottom),
        (left, y_min + margin, x_min + margin, y_max - margin),
        (x_max - margin, y_min + margin, right, y_max - margin),
    ]


def pull_print(layers: Layers, unit_px: float, slip_px: tuple[int, int]) -> Image.Image:
    """Combines wash and ink into one RGB picture on white, to be multiplied onto a sheet.

    Args:
        slip_px: misregistration of the colour against the lines (x, y), in pixels at half size.
    """
    size = layers.ink.size
    wash = ImageChops.offset(layers.wash.filter(ImageFilter.GaussianBlur(0.6)), *slip_px)
    colour = wash.resize(size, Image.Resampling.BILINEAR)
    ink = layers.ink.filter(ImageFilter.GaussianBlur(0.75 * unit_px))
    channels = [ink.point([round(black + (255 - black) * level / 255) for level in range(256)]) for black in INK]
    return ImageChops.multiply(colour, Image.merge("RGB", channels))
