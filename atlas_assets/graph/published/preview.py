"""The small sheet of thumbnails that is shown with each materialisation of the page."""

from collections.abc import Sequence

from PIL import Image

from atlas_assets.ui.encoding import CARD, jpeg_within, open_picture, paste_fitted

COLUMNS = 8
CELL_PX = 88
GAP_PX = 6


def thumbnail_sheet(thumbnails: Sequence[bytes]) -> bytes | None:
    """Thumbnails side by side as one JPEG, at most COLUMNS in a row; None if there are none.

    Args:
        thumbnails: JPEG or PNG, in order.
    """
    if not thumbnails:
        return None
    columns = min(COLUMNS, len(thumbnails))
    rows = -(-len(thumbnails) // COLUMNS)
    step = CELL_PX + GAP_PX
    sheet = Image.new("RGB", (columns * step + GAP_PX, rows * step + GAP_PX), CARD)
    for place, thumbnail in enumerate(thumbnails):
        row, column = divmod(place, COLUMNS)
        left, top = GAP_PX + column * step, GAP_PX + row * step
        paste_fitted(sheet, open_picture(thumbnail), (left, top, left + CELL_PX, top + CELL_PX))
    return jpeg_within(sheet)
