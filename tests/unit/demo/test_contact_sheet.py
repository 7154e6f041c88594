"""The contact sheet has a card per plate, in order, with palette and neighbours in place."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from atlas_assets.demo.contact_sheet import CARD_HEIGHT_PX, CARD_WIDTH_PX, ContactSheetRow, contact_sheet, draw_card
from atlas_assets.ui.plots import thumbnail


def row(number: int, palette: list[tuple[str, float]] | None = None, neighbours: int = 3) -> ContactSheetRow:
    picture = thumbnail(Image.new("RGB", (200, 120), "#7a3b2e"))
    return ContactSheetRow(
        plate_id=f"plate-{number:03d}",
        title="A title much longer than any card is wide, as the titles of old plates are wont to be",
        thumbnail=picture,
        overlays=[("otsu_luma", picture), ("u2netp", picture)],
        palette=[("#aa0000", 0.75), ("#00aa00", 0.25)] if palette is None else palette,
        neighbours=[
            (encoder, [(f"plate-{index:03d}", picture, 0.9) for index in range(neighbours)])
            for encoder in ("efficientnet_lite0", "efficientnet_lite2")
        ],
        note="IoU 0.93",
    )


def test_the_sheet_grows_by_rows_of_four() -> None:
    one, four, five = (contact_sheet([row(n) for n in range(count)], "Atlas") for count in (1, 4, 5))
    assert one.width < four.width == five.width
    assert one.height == four.height
    assert five.height - four.height > CARD_HEIGHT_PX


def test_a_palette_bar_is_split_by_share() -> None:
    pixels = np.asarray(draw_card(row(1)))[280]
    red = (pixels == ImageColor.getrgb("#aa0000")).all(axis=1).sum()
    green = (pixels == ImageColor.getrgb("#00aa00")).all(axis=1).sum()
    assert red / (red + green) == pytest.approx(0.75, abs=0.01)


def test_a_plate_without_palette_or_neighbours_still_has_its_card() -> None:
    assert draw_card(row(1, palette=[], neighbours=0)).size == (CARD_WIDTH_PX, CARD_HEIGHT_PX)


def test_only_the_nearest_three_neighbours_are_shown() -> None:
    assert draw_card(row(1, neighbours=3)).tobytes() == draw_card(row(1, neighbours=5)).tobytes()


def test_a_sheet_of_no_plates_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one plate"):
        contact_sheet([])
