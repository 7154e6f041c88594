"""Plots, strips and thumbnails: from pixels and numbers to small JPEG or PNG bytes.

Each is at most `encoding.MAX_PICTURE_BYTES`, because Dagster stores it in the metadata of a materialisation.
"""

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from atlas_assets.ui.encoding import (
    CARD,
    FAINT,
    SUPERSAMPLING,
    TEXT,
    fit_text,
    jpeg_within,
    open_picture,
    paste_fitted,
    png_within,
    shrink,
)

UI_INLINE_CHARACTERS = 1000


def thumbnail(image: Image.Image, longest_side_px: int = 240) -> bytes:
    """A JPEG of the image, its longer side at most `longest_side_px`; smaller images are not enlarged.

    Args:
        image: RGB, sRGB, any size.
    """
    return jpeg_within(shrink(image, longest_side_px))


def data_uri_markdown(picture: bytes, alt: str) -> str:
    """A picture as Markdown with a data URI. Square brackets and line breaks in `alt` are replaced."""
    clean = " ".join(alt.replace("[", "(").replace("]", ")").split())
    return f"![{clean}](data:{_mime_of(picture)};base64,{base64.b64encode(picture).decode('ascii')})"


def glance_markdown(picture: bytes, alt: str) -> str:
    """The picture as Markdown so short that Dagster's UI shows it inline: a WebP of at most 112 px.

    The UI (1.13) puts Markdown of 1,000 characters or more behind a link (MarkdownMetadataEntry in its source).
    """
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for side_px, quality in ((112, 30), (88, 30), (64, 30), (40, 20), (24, 10)):
        small = io.BytesIO()
        shrink(image, side_px).save(small, "WEBP", quality=quality)
        markdown = data_uri_markdown(small.getvalue(), alt)
        if len(markdown) < UI_INLINE_CHARACTERS:
            return markdown
    raise ValueError(
        f"{alt}: a picture of 24 px does not fit {UI_INLINE_CHARACTERS} characters of Markdown."
        " Fix: shorten the alt text."
    )


def histogram_plot(red: Sequence[int], green: Sequence[int], blue: Sequence[int], luminance: Sequence[int]) -> bytes:
    """Four histograms on one axis, a PNG of 360 x 160 px. Its opaque background suits any UI theme.

    Args:
        red: counts of the levels 0 to 255; the same for the others. Luminance is the grey area, the channels are lines.

    Heights are square roots of counts, because the counts of paper are far larger than those of the print.
    """
    series = [np.sqrt(_require_256(counts)) for counts in (luminance, red, green, blue)]
    highest = max(1.0, *(float(heights.max()) for heights in series))
    zoom = SUPERSAMPLING
    plot = Image.new("RGB", (360 * zoom, 160 * zoom), CARD)
    draw = ImageDraw.Draw(plot)
    left, right, top, bottom = 14 * zoom, 346 * zoom, 12 * zoom, 136 * zoom
    x = left + (np.arange(256) + 0.5) * ((right - left) / 256)
    lines = [
        [(float(a), float(b)) for a, b in zip(x, bottom - h / highest * (bottom - top), strict=True)] for h in series
    ]
    draw.polygon([(left, bottom), *lines[0], (right, bottom)], fill=(214, 210, 202))
    for line, colour in zip(lines[1:], ((200, 52, 44), (38, 138, 66), (42, 92, 190)), strict=True):
        draw.line(line, fill=colour, width=round(1.3 * zoom), joint="curve")
    draw.line([(left, bottom), (right, bottom)], fill=TEXT, width=zoom)
    font = ImageFont.load_default(size=12 * zoom)
    draw.text((left, bottom + 3 * zoom), "0", fill=TEXT, font=font)
    draw.text((right, bottom + 3 * zoom), "255", fill=TEXT, font=font, anchor="ra")
    draw.text(
        ((left + right) / 2, bottom + 3 * zoom), "level (height: root of count)", fill=FAINT, font=font, anchor="ma"
    )
    return png_within(plot.reduce(zoom))


def _require_256(counts: Sequence[int]) -> NDArray[np.float64]:
    """The counts as an array. Raises ValueError unless they are 256 non-negative numbers."""
    array = np.asarray(counts, dtype=np.float64)
    if array.shape != (256,) or array.min() < 0:
        raise ValueError(
            f"Histogram: expected 256 counts, none negative, found shape {array.shape}, least {array.min()}."
        )
    return array


def neighbours_strip(items: Sequence[tuple[bytes, str]]) -> bytes:
    """A plate on the left and its neighbours to its right, with captions, as a JPEG.

    Args:
        items: (JPEG or PNG bytes, caption); the first is the plate itself.
    """
    if not items:
        raise ValueError("Neighbours strip: expected the plate and its neighbours, found nothing.")
    cell, gap = 120, 14
    strip = Image.new("RGB", (len(items) * (cell + 8) + gap + 8, cell + 30), CARD)
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=11)
    for index, (picture, caption) in enumerate(items):
        left = 8 + index * (cell + 8) + (gap if index else 0)
        paste_fitted(strip, open_picture(picture), (left, 6, left + cell, 6 + cell))
        draw.text((left + cell / 2, cell + 10), fit_text(caption, font, cell), fill=TEXT, font=font, anchor="ma")
    draw.line([(cell + 8 + gap / 2 + 3, 10), (cell + 8 + gap / 2 + 3, cell + 20)], fill=FAINT)
    return jpeg_within(strip)


def stacked(pictures: Sequence[tuple[str, bytes]]) -> bytes:
    """Pictures one below the other, each under its heading, as a JPEG.

    Args:
        pictures: (heading, JPEG or PNG bytes).
    """
    opened = [(heading, open_picture(picture)) for heading, picture in pictures]
    head = 20
    height = sum(head + image.height for _, image in opened)
    sheet = Image.new("RGB", (max(image.width for _, image in opened), height), CARD)
    draw, top = ImageDraw.Draw(sheet), 0
    font = ImageFont.load_default(size=12)
    for heading, image in opened:
        draw.text((8, top + 5), fit_text(heading, font, sheet.width - 16), fill=TEXT, font=font)
        sheet.paste(image, (0, top + head))
        top += head + image.height
    return jpeg_within(sheet)


def scores_plot(labels: Sequence[str], values: Sequence[float], top: int = 5) -> bytes:
    """The highest scores of a probe as horizontal bars, longest first, a PNG 360 px wide.

    Args:
        labels: one for each value.
        values: not negative. Bars are relative to the greatest value; numbers are printed as given.
    """
    if len(labels) != len(values) or not all(math.isfinite(value) and value >= 0 for value in values):
        raise ValueError(
            f"Scores: expected one finite value >= 0 for each of {len(labels)} labels, found {list(values)[:top]}."
        )
    ranked = sorted(zip(labels, values, strict=True), key=lambda pair: -pair[1])[:top]
    zoom, row = SUPERSAMPLING, 26
    plot = Image.new("RGB", (360 * zoom, (row * len(ranked) + 12) * zoom), CARD)
    draw = ImageDraw.Draw(plot)
    font = ImageFont.load_default(size=12 * zoom)
    longest = max([value for _, value in ranked] + [1e-12])
    for index, (label, value) in enumerate(ranked):
        middle = (6 + row * (index + 0.5)) * zoom
        draw.text((148 * zoom, middle), fit_text(label, font, 136 * zoom), fill=TEXT, font=font, anchor="rm")
        length = 148 * zoom * value / longest
        bar = (156 * zoom, middle - 8 * zoom, 156 * zoom + max(zoom, length), middle + 8 * zoom)
        draw.rounded_rectangle(bar, radius=2 * zoom, fill=(0, 114, 178) if index == 0 else (126, 170, 200))
        draw.text((bar[2] + 6 * zoom, middle), f"{value:.3f}", fill=TEXT, font=font, anchor="lm")
    return png_within(plot.reduce(zoom))


def _mime_of(picture: bytes) -> str:
    """The media type, from the first bytes."""
    if picture.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if picture.startswith(b"RIFF"):
        return "image/webp"
    raise ValueError(f"Data URI: expected JPEG, PNG or WebP bytes, found bytes that start with {picture[:8]!r}.")
