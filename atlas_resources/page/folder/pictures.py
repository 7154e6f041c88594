"""The plates' pictures: upright, for the screen, made once of each source."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from atlas_resources.files.read_ahead import ahead
from atlas_resources.page.contract.plate import Picture
from atlas_resources.page.folder.files import PageFolder
from atlas_resources.page.shown import Shown
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode_source

LONGEST_PX = 1600
QUALITY = 82
PARAMETERS = f"jpeg {QUALITY} progressive, longest side {LONGEST_PX}, lanczos, srgb8, 1"
"""All that a picture depends on besides its source. Raise the number at its end if these give other pixels."""
AT_ONCE = 2
"""Sources that are decoded at the same time: each may need gigabytes."""


@dataclass(frozen=True)
class WantedPicture:
    """A picture of the page.

    Attributes:
        plate_id: its plate.
        name: its file in the page's folder, named by the source and the parameters.
        size: width and height in pixels; None if the plate's size is not measured.
    """

    plate_id: str
    name: str
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Pictures:
    """The pictures of a page.

    Attributes:
        by_plate: the picture of each plate that has one.
        sizes: the size of each plate's picture, or that it would have.
        problems: why a plate has none.
        made_count: pictures that were made now.
    """

    by_plate: dict[str, Picture]
    sizes: dict[str, tuple[int, int]]
    problems: dict[str, str]
    made_count: int


def picture_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Width and height of the picture of a source: at most LONGEST_PX on the longer side, never enlarged."""
    scale = min(1.0, LONGEST_PX / max(width_px, height_px))
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def wanted_pictures(shown: Shown) -> list[WantedPicture]:
    """The picture of each shown plate, in order."""
    rows = shown.rows("SELECT plate_id, source_sha256, source_page, width, height FROM plates")
    by_plate = {row["plate_id"]: row for row in rows}
    wanted = []
    for plate_id in shown.index:
        row = by_plate[plate_id]
        made_of = f"{row['source_sha256']} page {row['source_page'] or 1}: {PARAMETERS}"
        name = f"pictures/{hashlib.sha256(made_of.encode()).hexdigest()[:32]}.jpg"
        wanted.append(
            WantedPicture(plate_id, name, picture_size(row["width"], row["height"]) if row["width"] else None)
        )
    return wanted


def make_pictures(
    dataset: Dataset,
    wanted: Sequence[WantedPicture],
    folder: PageFolder,
    on_plate: Callable[[int, int], None] = lambda done, total: None,
) -> Pictures:
    """Makes the pictures that are not there. A plate whose source cannot be read has none, with the reason.

    Args:
        dataset: the dataset.
        wanted: the pictures.
        folder: where they are written.
        on_plate: called with how many are made, and how many have to be.
    """
    missing = list({one.name: one for one in wanted if not folder.keep(one.name)}.values())
    problems: dict[str, str] = {}
    for done, (one, picture) in enumerate(_drawn(dataset, missing), start=1):
        if isinstance(picture, bytes):
            folder.write(one.name, picture)
        else:
            problems[one.name] = picture
        on_plate(done, len(missing))
    by_plate, sizes = {}, {}
    for one in wanted:
        size = one.size
        if one.name not in problems and size is None:
            with Image.open(folder.path / one.name, formats=["JPEG"]) as image:
                size = image.size
        sizes[one.plate_id] = size or (1, 1)
        if size is not None and one.name not in problems:
            by_plate[one.plate_id] = Picture(path=one.name, width_px=size[0], height_px=size[1])
    unmade = {one.plate_id: problems[one.name] for one in wanted if one.name in problems}
    return Pictures(by_plate, sizes, unmade, len(missing) - len(problems))


def _drawn(dataset: Dataset, missing: Sequence[WantedPicture]) -> Iterator[tuple[WantedPicture, bytes | str]]:
    """Each picture as JPEG, or why there is none."""

    def draw(one: WantedPicture) -> bytes | str:
        try:
            return draw_picture(decode_source(dataset.plate(one.plate_id)).image)
        except (OSError, ValueError, LookupError) as error:  # every reason why a source is not decoded
            return str(error)

    yield from zip(missing, ahead(draw, missing, AT_ONCE, AT_ONCE), strict=True)


def draw_picture(image: Image.Image) -> bytes:
    """A decoded source as a picture for the screen, JPEG.

    Args:
        image: mode RGB, 8-bit sRGB, upright.
    """
    size = picture_size(*image.size)
    small = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return file.getvalue()
