"""The contact sheet: one picture with a card per plate, showing its measurements and nearest neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from atlas_assets.ui.encoding import FAINT, TEXT, Rgb, fit_text, open_picture, paste_fitted

CARD_WIDTH_PX, CARD_HEIGHT_PX, GAP_PX = 662, 452, 18
HEADER_PX = 96
DESK: Rgb = (226, 221, 211)
CARD_PAPER: Rgb = (252, 251, 248)
PICTURE_PX = 206
"""Side of the three squares on a card: the plate, and the plate with the segments of two instruments."""
PICTURES_SHOWN, NEIGHBOURS_SHOWN = 2, 3
"""Sets of segments on a card, and neighbours of each encoder."""
Captioned = tuple[str, bytes]
Neighbours = list[tuple[str, bytes, float]]


@dataclass(frozen=True)
class ContactSheetRow:
    """One plate's card.

    Attributes:
        thumbnail: JPEG or PNG of the plate.
        overlays: pairs of an instrument and a JPEG or PNG of the plate with its segments marked; the first two are
            shown.
        palette: pairs of an sRGB colour "#rrggbb" and its share, 0 to 1, drawn in this order.
        neighbours: pairs of an encoder and its neighbours: triples of plate id, JPEG or PNG, and score, nearest first.
            The first two encoders are shown, with three neighbours each.
        note: one line at the bottom, such as an intersection over union.
    """

    plate_id: str
    title: str
    thumbnail: bytes
    overlays: list[Captioned]
    palette: list[tuple[str, float]]
    neighbours: list[tuple[str, Neighbours]]
    note: str


def contact_sheet(rows: Sequence[ContactSheetRow], title: str = "Atlas", columns: int = 4) -> Image.Image:
    """All plates on one RGB sheet, in the given order, at most `columns` cards side by side."""
    if not rows:
        raise ValueError("Contact sheet: expected at least one plate, found none.")
    across = min(columns, len(rows))
    down = -(-len(rows) // across)
    width_px = across * (CARD_WIDTH_PX + GAP_PX) + GAP_PX
    sheet = Image.new("RGB", (width_px, HEADER_PX + down * (CARD_HEIGHT_PX + GAP_PX)), DESK)
    draw = ImageDraw.Draw(sheet)
    heading = ImageFont.load_default(size=36)
    draw.text(
        (GAP_PX + 4, HEADER_PX / 2),
        fit_text(title, heading, width_px - 2 * GAP_PX),
        fill=TEXT,
        font=heading,
        anchor="lm",
    )
    for index, row in enumerate(rows):
        left = GAP_PX + (index % across) * (CARD_WIDTH_PX + GAP_PX)
        top = HEADER_PX + (index // across) * (CARD_HEIGHT_PX + GAP_PX)
        sheet.paste(draw_card(row), (left, top))
    return sheet


def draw_card(row: ContactSheetRow) -> Image.Image:
    """One plate's card: heading, plate and segments by two instruments, palette, neighbours by two encoders, note."""
    card = Image.new("RGB", (CARD_WIDTH_PX, CARD_HEIGHT_PX), CARD_PAPER)
    draw = ImageDraw.Draw(card)
    draw.rectangle((0, 0, CARD_WIDTH_PX - 1, CARD_HEIGHT_PX - 1), outline=(206, 200, 189))
    inner = CARD_WIDTH_PX - 28
    large, small = ImageFont.load_default(size=18), ImageFont.load_default(size=13)
    id_width = small.getlength(row.plate_id)
    draw.text((14, 22), fit_text(row.title, large, inner - id_width - 12), fill=TEXT, font=large, anchor="lm")
    draw.text((CARD_WIDTH_PX - 14, 23), row.plate_id, fill=FAINT, font=small, anchor="rm")
    for place, (caption, picture) in enumerate([("", row.thumbnail), *row.overlays[:PICTURES_SHOWN]]):
        left = 14 + place * (PICTURE_PX + 8)
        paste_fitted(card, open_picture(picture), (left, 42, left + PICTURE_PX, 42 + PICTURE_PX))
        draw.text((left + PICTURE_PX / 2, 257), caption, fill=FAINT, font=small, anchor="mm")
    _draw_palette(draw, row.palette, (14, 270, CARD_WIDTH_PX - 14, 292))
    for place, (encoder, neighbours) in enumerate(row.neighbours[:2]):
        _draw_neighbours(card, encoder, neighbours, (14 + place * (inner + 8) // 2, 304))
    draw.text((14, CARD_HEIGHT_PX - 16), fit_text(row.note, small, inner), fill=FAINT, font=small, anchor="lm")
    return card


def _draw_palette(
    draw: ImageDraw.ImageDraw, palette: Sequence[tuple[str, float]], box: tuple[int, int, int, int]
) -> None:
    """Draws the palette as one bar; each colour's width is its share of the sum of shares."""
    whole = sum(share for _, share in palette)
    reached = 0.0
    for colour, share in palette:
        start = box[0] + (box[2] - box[0]) * reached / whole if whole > 0 else box[0]
        reached += share
        end = box[0] + (box[2] - box[0]) * reached / whole if whole > 0 else box[0]
        draw.rectangle((start, box[1], end, box[3]), fill=colour)
    draw.rectangle(box, outline=(206, 200, 189))


def _draw_neighbours(card: Image.Image, encoder: str, neighbours: Neighbours, corner: tuple[int, int]) -> None:
    """Draws an encoder's neighbours side by side below its name, each above its id and score. Changes `card`."""
    draw = ImageDraw.Draw(card)
    font = ImageFont.load_default(size=12)
    (left, top), width = corner, (CARD_WIDTH_PX - 36) // 2 // NEIGHBOURS_SHOWN
    draw.text((left, top + 6), f"nearest by {encoder}", fill=FAINT, font=font, anchor="lm")
    for index, (plate_id, picture, score) in enumerate(neighbours[:NEIGHBOURS_SHOWN]):
        start = left + index * width
        paste_fitted(card, open_picture(picture), (start, top + 16, start + width - 8, top + 94))
        caption = fit_text(f"{plate_id}  {score:.2f}", font, width - 4)
        draw.text((start + (width - 8) / 2, top + 105), caption, fill=TEXT, font=font, anchor="mm")
