"""From an image file to its pixels and the facts of its coding. Every file is decoded, or refused with a reason."""

import hashlib
import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFile, JpegImagePlugin

from atlas_resources.plates.colour_policy import SampleLayout, convert_to_srgb8
from atlas_resources.plates.contracts import ColourPolicy, JpegFacts
from atlas_resources.plates.header import (
    OPENERS,
    ImageRefused,
    read_layout,
    recognise,
    refusing,
    require_readable_header,
)

MAX_PIXELS = 500_000_000

# The IEND chunk with its checksum, always these bytes (PNG third edition, 11.2.5).
PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"

# Chroma subsampling by the ratio of luma to chroma sampling factors (ITU-T T.81, A.1.1).
SUBSAMPLING_NAMES = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}


class SourceChanged(ValueError):
    """A source whose bytes differ from the registered ones."""

    def __init__(self, path: Path, expected_sha256: str, found_sha256: str):
        super().__init__(
            f"{path}: expected sha256 {expected_sha256}, as registered, found {found_sha256}. Fix: put the registered"
            f" file back, and register the new scan as a separate plate"
        )


@dataclass(frozen=True)
class SourceFacts:
    """What a source is, apart from its pixels.

    Attributes:
        format: Container by content: JPEG, PNG, TIFF or WEBP.
        mode: Pillow's mode before conversion.
        exif_sha256: Of the EXIF block without its "Exif\\0\\0" prefix, so that it is equal in all containers. None
            without a block, and for a TIFF, whose EXIF tags are part of the file's own directory.
        icc_sha256: Of the embedded ICC profile, usable or not.
        icc_description: The profile's own description.
        jpeg: Facts of the coding; None for other formats.
        colour_policy: What was done to reach 8-bit sRGB.
        file_size_bytes: Length of the file.
        source_sha256: Of the bytes that were decoded.
    """

    format: str
    mode: str
    exif_sha256: str | None
    icc_sha256: str | None
    icc_description: str | None
    jpeg: JpegFacts | None
    colour_policy: ColourPolicy
    file_size_bytes: int
    source_sha256: str


@dataclass(frozen=True)
class DecodedImage:
    """A source's pixels (`image`: mode RGB, 8-bit sRGB, upright, empty `info`) and its facts."""

    image: Image.Image
    facts: SourceFacts


def decode(path: Path, max_pixels: int = MAX_PIXELS, expected_sha256: str | None = None) -> DecodedImage:
    """Read, check, decode and convert one image. The file is read once; the digest is of the bytes that were decoded.

    Safe to call from several threads at once.

    Args:
        path: An image of an accepted format, whatever its name.
        max_pixels: Largest accepted width times height, as stated in the header.
        expected_sha256: Digest that the file must have; None accepts any.

    Raises:
        ImageRefused: Unreadable, empty, not an accepted image, too large, truncated or damaged, or of samples that
            are neither 8 nor 16 bits.
        SourceChanged: The digest differs from the expected one.
    """
    data = read_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise SourceChanged(path, expected_sha256, sha256)
    image, layout = read_image(path, data, max_pixels)
    exif = image.info.get("exif")
    icc = image.info.get("icc_profile")
    name, mode = format_name(image), image.mode
    with refusing(path, f"is a {name} whose pixels cannot be converted"):
        jpeg = read_jpeg_facts(image) if isinstance(image, JpegImagePlugin.JpegImageFile) else None
        converted = convert_to_srgb8(image, layout)
    facts = SourceFacts(
        format=name,
        mode=mode,
        exif_sha256=None if exif is None else hashlib.sha256(exif.removeprefix(b"Exif\0\0")).hexdigest(),
        icc_sha256=None if icc is None else hashlib.sha256(icc).hexdigest(),
        icc_description=converted.icc_description,
        jpeg=jpeg,
        colour_policy=converted.policy,
        file_size_bytes=len(data),
        source_sha256=sha256,
    )
    return DecodedImage(converted.image, facts)


def require_decodable(path: Path, max_pixels: int = MAX_PIXELS) -> str:
    """Check that an image can be decoded, without keeping or converting its pixels.

    Returns:
        sha256 of the bytes that were decoded.

    Raises:
        ImageRefused: As `decode`.
    """
    data = read_bytes(path)
    read_image(path, data, max_pixels)
    return hashlib.sha256(data).hexdigest()


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises ImageRefused if it is not a regular file, is unreadable or is empty."""
    try:
        if not path.is_file():
            raise ImageRefused(path, "is not a file" if path.exists() else "does not exist")
        data = path.read_bytes()
    except OSError as error:
        raise ImageRefused(path, f"cannot be read: {error.strerror}") from error
    if not data:
        raise ImageRefused(path, "is empty (0 bytes)")
    return data


def read_image(path: Path, data: bytes, max_pixels: int) -> tuple[ImageFile.ImageFile, SampleLayout]:
    """Open, check the header, and decode the first page. Raises ImageRefused."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES: expected False, found True, which accepts truncated scans."
            " Fix: remove the code that sets it"
        )
    name = recognise(path, data)
    with refusing(path, f"is a {name} whose header cannot be read"):
        image = OPENERS[name](BytesIO(data))
        require_readable_header(path, image, max_pixels)
        layout = read_layout(image)
    with refusing(path, f"is a truncated or damaged {name}"):
        if name == "PNG":
            require_whole_png(data)
        image.load()
    return image, layout


def require_whole_png(data: bytes) -> None:
    """Raise ValueError or SyntaxError for a PNG without its end or with a wrong checksum: Pillow decodes both."""
    if PNG_END not in data:
        raise ValueError("its last chunk is missing")
    OPENERS["PNG"](BytesIO(data)).verify()


def format_name(image: ImageFile.ImageFile) -> str:
    """Pillow's name of the format. A file of several JPEGs (MPO) counts as a JPEG; its first image is read."""
    return "JPEG" if isinstance(image, JpegImagePlugin.JpegImageFile) else str(image.format)


def read_jpeg_facts(image: JpegImagePlugin.JpegImageFile) -> JpegFacts:
    """Coding facts from the frame header and the quantisation tables (in natural order, as Pillow returns them)."""
    tables = b"".join(struct.pack(">64H", *image.quantization[key]) for key in sorted(image.quantization))
    return JpegFacts(
        is_progressive=bool(image.info.get("progressive")),
        subsampling=read_subsampling(image),
        quantisation_sha256=hashlib.sha256(tables).hexdigest(),
    )


def read_subsampling(image: JpegImagePlugin.JpegImageFile) -> str:
    """Chroma subsampling from the components' sampling factors; "other" for a ratio without a name."""
    factors = [(layer[1], layer[2]) for layer in image.layer]
    if len(factors) == 1:
        return "gray"
    (luma_x, luma_y), (chroma_x, chroma_y) = factors[0], factors[1]
    if factors[1] != factors[2] or luma_x % chroma_x or luma_y % chroma_y:
        return "other"
    return SUBSAMPLING_NAMES.get((luma_x // chroma_x, luma_y // chroma_y), "other")
