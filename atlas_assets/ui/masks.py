"""Pictures of a plate's segments: an overlay with numbers as in their ids, and a histogram of their areas."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from atlas_assets.ui.encoding import CARD, FAINT, SUPERSAMPLING, TEXT, Rgb, jpeg_within, png_within, shrink

SEGMENT_COLOURS: tuple[Rgb, ...] = (
    (213, 94, 0), (0, 114, 178), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (240, 228, 66),
)  # fmt: skip
"""Okabe and Ito's palette (2008), distinguishable with any colour vision; without black."""

OUTLINE_MARGIN_PX = 4  # how far closing and outlining extend beyond a shape
BADGE_HEIGHT_PX = 15
LEAST_NUMBERED_PX = 60  # pixels of the picture; a number would hide a smaller shape
VEIL: Rgb = (236, 236, 240)


@dataclass(frozen=True)
class Shape:
    """A segment in the picture: its number, its box, and its pixels inside the box as an L image, 0 or 255."""

    number: int
    box: tuple[int, int, int, int]
    pixels: Image.Image

    @property
    def colour(self) -> Rgb:
        """The segment's colour, by its number."""
        return SEGMENT_COLOURS[(self.number - 1) % len(SEGMENT_COLOURS)]


def mask_overlay(
    image: Image.Image,
    masks: Iterable[NDArray[np.bool_]],
    longest_side_px: int = 320,
    numbers: Sequence[int] | None = None,
) -> bytes:
    """The plate with its paper paled and its segments outlined and numbered, as a JPEG.

    Args:
        image: RGB, sRGB.
        masks: bool (height, width), all of one size, which may differ from the image's. Largest first; read one at a
            time.
        longest_side_px: longest side of the result.
        numbers: numbers of the masks, in their order; by default from 1. A number is left out if its segment has no
            room for it next to the numbers of larger segments.
    """
    small = shrink(image, longest_side_px)
    numbered = enumerate(masks, start=1) if numbers is None else zip(numbers, masks, strict=True)
    shapes = [shape for number, mask in numbered if (shape := _shape_of(mask, number, small.size))]
    paper = Image.new("L", small.size, 255)
    for shape in shapes:
        paper.paste(0, shape.box, shape.pixels)
    picture = Image.composite(Image.blend(small, Image.new("RGB", small.size, VEIL), 0.62), small, paper)
    for shape in reversed(shapes):  # the largest last, so that small outlines do not cover large ones
        picture.paste(shape.colour, shape.box, _outline(shape.pixels))
    taken = np.zeros((small.height, small.width), dtype=bool)
    for shape in shapes:
        _number_segment(picture, shape, taken)
    return jpeg_within(picture)


def _shape_of(mask: NDArray[np.bool_], number: int, size: tuple[int, int]) -> Shape | None:
    """A mask resized to a picture of (width, height): the pixels that it covers at least by half; None if empty."""
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"Mask overlay: expected masks of bool [height, width], found {mask.dtype} {list(mask.shape)}")
    size_of = (size[1], size[0])
    scales = [mask.shape[axis] / size_of[axis] for axis in (0, 1)]
    spans = []
    for axis, (side_px, scale) in enumerate(zip(size_of, scales, strict=True)):
        seen = np.flatnonzero(mask.any(axis=1 - axis))
        if not len(seen):
            return None
        first, last = int(seen[0] / scale) - OUTLINE_MARGIN_PX, int(seen[-1] / scale) + 1 + OUTLINE_MARGIN_PX
        spans.append((max(0, first), min(side_px, last)))
    (top, bottom), (left, right) = spans
    rows, columns = (
        slice(int(span[0] * scale), min(length, math.ceil(span[1] * scale)))
        for span, scale, length in zip(spans, scales, mask.shape, strict=True)
    )
    part = Image.fromarray(mask[rows, columns].astype(np.uint8) * 255)
    # The edges of the picture's pixels in the part's coordinates. They are seldom at the edges of the part's pixels.
    edges = (
        left * scales[1] - columns.start,
        top * scales[0] - rows.start,
        min(part.width, right * scales[1] - columns.start),
        min(part.height, bottom * scales[0] - rows.start),
    )
    resized = part.resize((right - left, bottom - top), Image.Resampling.BOX, box=edges)
    return Shape(number, (left, top, right, bottom), resized.point([0] * 128 + [255] * 128))


def _outline(shape: Image.Image) -> Image.Image:
    """A line 2 px wide around the outside of a shape, as an L image. Gaps, as between hatching, are closed first."""
    closed = shape.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(5))
    return ImageChops.subtract(closed.filter(ImageFilter.MaxFilter(5)), closed)


def _number_segment(picture: Image.Image, shape: Shape, taken: NDArray[np.bool_]) -> None:
    """Draws a segment's number at its free pixel nearest to its centroid. Changes `picture` and `taken`."""
    rows, columns = np.nonzero(np.asarray(shape.pixels))
    if len(rows) < LEAST_NUMBERED_PX:
        return
    distance = (rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2
    distance[taken[rows + shape.box[1], columns + shape.box[0]]] = np.inf
    nearest = int(np.argmin(distance))
    if np.isinf(distance[nearest]):
        return
    x, y = int(columns[nearest]) + shape.box[0], int(rows[nearest]) + shape.box[1]
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=11)
    half_width, half_height = int(4 + draw.textlength(str(shape.number), font=font) / 2), BADGE_HEIGHT_PX // 2
    x = min(max(x, half_width), picture.width - 1 - half_width)  # keeps the number inside the picture
    y = min(max(y, half_height), picture.height - 1 - half_height)
    badge = (x - half_width, y - half_height, x + half_width, y + half_height)
    draw.rounded_rectangle(badge, radius=5, fill=(255, 255, 255), outline=shape.colour, width=2)
    draw.text((x, y), str(shape.number), fill=TEXT, font=font, anchor="mm")
    # A badge of this size does not overlap this one if its centre is outside this region.
    taken[
        max(0, y - 2 * half_height - 1) : y + 2 * half_height + 2, max(0, x - 2 * half_width) : x + 2 * half_width + 1
    ] = True


def area_histogram(area_ratios: Sequence[float]) -> bytes:
    """A histogram of segment areas, a PNG of 360 x 150 px: one bar for each third of a decade of the plate's area.

    Args:
        area_ratios: areas as ratios of the plate's, above 0 to 1. Smaller areas than the first bar's count in it.
    """
    low, per_decade = -5, 3
    bars = -low * per_decade
    logarithms = np.log10(np.maximum(np.asarray(area_ratios, dtype=np.float64), 10.0**low))
    places = np.clip(np.floor((logarithms - low) * per_decade + 1e-9).astype(int), 0, bars - 1)
    counts = np.bincount(places, minlength=bars)
    zoom = SUPERSAMPLING
    plot = Image.new("RGB", (360 * zoom, 150 * zoom), CARD)
    draw = ImageDraw.Draw(plot)
    font = ImageFont.load_default(size=11 * zoom)
    left, right, top, bottom = 14 * zoom, 346 * zoom, 20 * zoom, 116 * zoom
    step = (right - left) / bars
    for place, count in enumerate(counts):
        if count:
            x, height = left + place * step, max(zoom, (bottom - top) * count / counts.max())
            draw.rectangle((x + zoom, bottom - height, x + step - zoom, bottom), fill=(0, 114, 178))
            draw.text((x + step / 2, bottom - height - 2 * zoom), str(count), fill=TEXT, font=font, anchor="mb")
    draw.line([(left, bottom), (right, bottom)], fill=TEXT, width=zoom)
    for decade, name in enumerate(("0.001 %", "0.01 %", "0.1 %", "1 %", "10 %", "100 %")):
        anchor = {0: "la", 5: "ra"}.get(decade, "ma")
        x = left + decade * per_decade * step
        draw.text((x, bottom + 3 * zoom), name, fill=TEXT, font=font, anchor=anchor)
    middle = ((left + right) / 2, bottom + 17 * zoom)
    draw.text(middle, "segments by their share of the plate", fill=FAINT, font=font, anchor="ma")
    return png_within(plot.reduce(zoom))
