"""Sheets of thumbnails, so that thousands of plates are shown from few files."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from atlas_resources.files.read_ahead import ahead
from atlas_resources.page.contract.library import Sprites
from atlas_resources.page.folder.files import PageFolder
from atlas_resources.plates.dataset import Dataset

SHEET_PX = 2048
"""Longest side of a sheet: every browser and graphics card takes it as one picture."""
LARGE_CELL_PX, SMALL_CELL_PX, MOST_LARGE = 128, 64, 1000
QUALITY = 80
BACKGROUND = (255, 255, 255)
THUMBNAILS_AHEAD = 64


@dataclass(frozen=True)
class Sheets:
    """The sheets, and width and height of each plate's thumbnail in its cell; (0, 0) without one."""

    sprites: Sprites
    sizes: dict[str, tuple[int, int]]


def sheet_shape(plate_count: int) -> Sprites:
    """Cells, columns and rows of the sheets for a number of plates."""
    cell_px = LARGE_CELL_PX if plate_count <= MOST_LARGE else SMALL_CELL_PX
    columns = SHEET_PX // cell_px
    rows = min(columns, max(1, -(-plate_count // columns)))
    return Sprites(cell_px=cell_px, columns=columns, rows=rows, sheet_count=-(-plate_count // (columns * rows)))


def make_sheets(
    dataset: Dataset,
    plate_ids: Sequence[str],
    folder: PageFolder,
    on_sheet: Callable[[int, int], None] = lambda done, total: None,
) -> Sheets:
    """Writes the sheets of plates, in their order. One sheet is in memory at a time."""
    shape = sheet_shape(len(plate_ids))
    on_one = shape.columns * shape.rows
    sizes: dict[str, tuple[int, int]] = {}
    for number in range(shape.sheet_count):
        plates = plate_ids[number * on_one : (number + 1) * on_one]
        side = (shape.columns * shape.cell_px, shape.rows * shape.cell_px)
        sheet = Image.new("RGB", side, BACKGROUND)
        read = ahead(lambda plate_id: _thumbnail(dataset, plate_id, shape.cell_px), plates, THUMBNAILS_AHEAD)
        for place, (plate_id, thumbnail) in enumerate(zip(plates, read, strict=True)):
            sizes[plate_id] = thumbnail.size if thumbnail else (0, 0)
            if thumbnail:
                row, column = divmod(place, shape.columns)
                left = column * shape.cell_px + (shape.cell_px - thumbnail.width) // 2
                sheet.paste(thumbnail, (left, row * shape.cell_px + (shape.cell_px - thumbnail.height) // 2))
        folder.write_value(f"sprites/{number}", _data_url(sheet))
        on_sheet(number + 1, shape.sheet_count)
    return Sheets(shape, sizes)


def _thumbnail(dataset: Dataset, plate_id: str, cell_px: int) -> Image.Image | None:
    """A plate's thumbnail, fitted into a cell; None if it has none that can be read."""
    content = dataset.plate(plate_id).thumbnail()
    if content is None:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            image.draft("RGB", (cell_px, cell_px))
            small = image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    small.thumbnail((cell_px, cell_px), Image.Resampling.LANCZOS)
    return small


def _data_url(sheet: Image.Image) -> str:
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
