"""Makes, keeps and reads the working rasters of plates. Which instrument reads one is declared by its spec."""

import hashlib
import io
import json
from pathlib import Path

import PIL
from PIL import Image, PngImagePlugin

from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.instruments.spec.input import LONGER_SIDE_PX, Raster
from atlas_resources.plates.colour_policy import POLICY_NAME
from atlas_resources.plates.plate import Plate

VERSION = 1
"""Of how a working raster is made: raised when its pixels change."""
FACTS = "atlas"
"""The PNG's text chunk that states what the raster is of, and the digest of its pixels."""
FAST = 1
"""Level of compression: the highest takes ten times as long and saves a tenth."""


def reduce(image: Image.Image, raster: Raster) -> Image.Image:
    """A plate's pixels at the size of a working raster: the longer side at most as declared, never enlarged.

    Pillow's Lanczos filter with antialiasing over whole pixels. Returns the image itself where nothing is to do: for
    the raster `source`, and if the image is no larger.

    Args:
        image: 8-bit sRGB.
        raster: as a spec declares it.
    """
    side_px, longer = LONGER_SIDE_PX[raster], max(image.size)
    if side_px is None or longer <= side_px:
        return image
    width, height = (max(1, round(length * side_px / longer)) for length in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def raster_path(plate: Plate, raster: Raster) -> Path:
    """Where the raster of the plate's registered source is kept, whether it is there or not.

    Its name is a digest of all that decides its pixels, so that one of another source, another Pillow or another way
    of making it is never taken.

    Raises:
        PlateUnknown, DatasetBroken: the plate's own files are missing or broken.
    """
    page = plate.identity().source_page or 1
    facts = (plate.source_sha256(), page, raster, VERSION, POLICY_NAME, PIL.__version__)
    name = hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()
    return plate.rasters_folder / raster / name[:2] / f"{name}.png"


def read_raster(plate: Plate, raster: Raster) -> Image.Image | None:
    """The plate's working raster, 8-bit sRGB, if it is kept; else None, as for one whose pixels are not those kept."""
    try:
        with Image.open(io.BytesIO(raster_path(plate, raster).read_bytes()), formats=["PNG"]) as file:
            file.load()
            image = file.convert("RGB")
            stated = json.loads(file.info[FACTS])["pixels_sha256"]
    except (OSError, SyntaxError, ValueError, LookupError, TypeError):  # missing, truncated, damaged, or another's
        return None
    return image if stated == _pixels_sha256(image) else None


def keep_raster(plate: Plate, raster: Raster, image: Image.Image) -> None:
    """Keeps the plate's working raster as a PNG, whole or not at all.

    Args:
        plate: the plate.
        raster: which one.
        image: its pixels, as `reduce` returns them.

    Raises:
        OSError: the file cannot be written.
    """
    facts = {"source_sha256": plate.source_sha256(), "raster": raster, "pixels_sha256": _pixels_sha256(image)}
    text, content = PngImagePlugin.PngInfo(), io.BytesIO()
    text.add_text(FACTS, json.dumps(facts))
    image.save(content, "PNG", compress_level=FAST, pnginfo=text)
    write_bytes_atomically(raster_path(plate, raster), content.getvalue())


def _pixels_sha256(image: Image.Image) -> str:
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
