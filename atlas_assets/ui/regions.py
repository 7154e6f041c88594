"""Pictures of a plate's kept segments: a sheet of crops with their colours, and outlines on the plate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from atlas_assets.ui.encoding import CARD, TEXT, jpeg_within, paste_fitted, shrink
from atlas_assets.ui.masks import SEGMENT_COLOURS

CELL_PX, BAR_PX, CAPTION_PX, GAP_PX = 92, 10, 14, 6
MOST_ACROSS = 6

Ring = Sequence[Sequence[float]]


@dataclass(frozen=True)
class RegionCard:
    """A segment on a sheet.

    Attributes:
        caption: the segment's id.
        crop: uint8 sRGB [h, w, 3].
        palette: (sRGB as "#rrggbb", share 0..1), drawn as a bar below the crop; may be empty.
    """

    caption: str
    crop: np.ndarray
    palette: tuple[tuple[str, float], ...]


def region_sheet(cards: Sequence[RegionCard]) -> bytes:
    """Crops in rows, each with its palette and its caption, as a JPEG.

    Raises:
        ValueError: there are no cards.
    """
    if not cards:
        raise ValueError("Region sheet: expected at least one segment, found none.")
    across = min(MOST_ACROSS, len(cards))
    step_x, step_y = CELL_PX + GAP_PX, CELL_PX + BAR_PX + CAPTION_PX + 2 * GAP_PX
    size = (across * step_x + GAP_PX, -(-len(cards) // across) * step_y + GAP_PX)
    sheet = Image.new("RGB", size, CARD)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=11)
    for index, card in enumerate(cards):
        left, top = GAP_PX + index % across * step_x, GAP_PX + index // across * step_y
        paste_fitted(sheet, Image.fromarray(card.crop), (left, top, left + CELL_PX, top + CELL_PX))
        _draw_bar(draw, card.palette, (left, top + CELL_PX + 3))
        middle = (left + CELL_PX / 2, top + CELL_PX + BAR_PX + 4)
        draw.text(middle, card.caption, fill=TEXT, font=font, anchor="ma")
    return jpeg_within(sheet)


def _draw_bar(draw: ImageDraw.ImageDraw, palette: Sequence[tuple[str, float]], corner: tuple[int, int]) -> None:
    """Draws a bar in which each colour is as wide as its share."""
    reached = 0.0
    for colour, share in palette:
        start, reached = reached, reached + share
        left, right = corner[0] + CELL_PX * start, corner[0] + CELL_PX * min(1.0, reached)
        draw.rectangle((left, corner[1], max(left, right - 1), corner[1] + BAR_PX - 1), fill=colour)


def outline_overlay(
    image: Image.Image, shapes: Sequence[Sequence[Sequence[Ring]]], longest_side_px: int = 480
) -> bytes:
    """The plate, paled, with the polygons of its segments drawn on it, as a JPEG.

    Args:
        image: RGB.
        shapes: for each segment its polygons, for each polygon its rings of (x, y) in pixels of the image.
        longest_side_px: longest side of the result.
    """
    small = shrink(image, longest_side_px)
    picture = Image.blend(small, Image.new("RGB", small.size, (255, 255, 255)), 0.55)
    draw = ImageDraw.Draw(picture)
    scale = small.width / image.width
    for index, polygons in enumerate(shapes):
        colour = SEGMENT_COLOURS[index % len(SEGMENT_COLOURS)]
        for ring in (ring for polygon in polygons for ring in polygon):
            draw.line([(x * scale, y * scale) for x, y, *_ in ring], fill=colour, width=2)
    return jpeg_within(picture)
