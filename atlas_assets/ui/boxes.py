"""A plate with the boxes that a detector found, as a small JPEG."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from atlas_assets.ui.encoding import fit_text, jpeg_within, shrink
from atlas_assets.ui.masks import SEGMENT_COLOURS

SHOWN = 12
"""Number of boxes that are drawn; more would hide the plate."""

Corners = tuple[float, float, float, float]


def box_overlay(image: Image.Image, boxes: Sequence[tuple[Corners, str]], longest_side_px: int = 320) -> bytes:
    """The plate with boxes and their labels, one colour per label, the first boxes on top.

    Args:
        image: RGB, sRGB.
        boxes: corners (left, top, right, bottom) as ratios of the image's sides, and a label, best first.
        longest_side_px: longest side of the result.
    """
    picture = shrink(image, longest_side_px)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=11)
    labels = list(dict.fromkeys(label for _, label in boxes))
    for corners, label in reversed(boxes[:SHOWN]):
        colour = SEGMENT_COLOURS[labels.index(label) % len(SEGMENT_COLOURS)]
        left, right = (_within(share, picture.width) for share in corners[0::2])
        top, bottom = (_within(share, picture.height) for share in corners[1::2])
        draw.rectangle((left, top, right, bottom), outline=colour, width=2)
        words = fit_text(label, font, picture.width - left - 6)
        draw.rectangle((left, top, left + font.getlength(words) + 6, top + 14), fill=colour)
        draw.text((left + 3, top + 1), words, fill=(255, 255, 255), font=font)
    return jpeg_within(picture)


def _within(share: float, length_px: int) -> float:
    """A ratio of a side in pixels, clipped to the image, since a box may extend beyond the plate."""
    return min(max(share, 0.0), 1.0) * (length_px - 1)
