"""From an image file to its pixels and the facts of its coding. Every file is decoded, or refused with a reason."""

import hashlib
import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from atlas_resources.files.regular import UnfitFile, read_regular
from atlas_resources.measures.arrays import hold_in_one_block
from atlas_resources.measures.colour.extremes import Extremes
from atlas_resources.plates.coding.deep_samples import round_to_8_bits
from atlas_resources.plates.coding.huge_pages import load_in_huge_pages
from atlas_resources.plates.coding.tiff import (
    MAX_PAGES,
    list_full_pages,
    require_whole_segments,
    require_whole_tags,
    seek_tiff_page,
)
from atlas_resources.plates.colour_policy import SampleLayout, convert_to_srgb8
from atlas_resources.plates.contracts import ColourPolicy, JpegFacts
from atlas_resources.plates.header import (
    EXPORT,
    OPENERS,
    ImageRefused,
    read_layout,
    recognise,
    refuse_unknown_samples,
    refusing,
    require_readable_header,
)
from atlas_resources.plates.plate import Plate

MAX_PIXELS = 500_000_000
MANY_PAGES = f"Fix: export the scan again, as files of at most {MAX_PAGES} pages"
# 500 Mpx of four 16-bit samples without compression, and as much again for metadata and further pages.
MAX_BYTES = 8_000_000_000

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
    """A source's pixels and its facts.

    Attributes:
        image: Mode RGB, 8-bit sRGB, upright, empty `info`.
        facts: What the source is, apart from its pixels.
        extremes: White, black and clipped pixels of a 16-bit source, in its samples before the ICC profile; None where
            they are those of `image`.
    """

    image: Image.Image
    facts: SourceFacts
    extremes: Extremes | None


def decode_source(plate: Plate) -> DecodedImage:
    """Decode the page of its source that a plate is of. The file is compared with its registered digest.

    Raises:
        ImageRefused, SourceChanged: As `decode`.
        PlateUnknown, DatasetBroken: The plate's own files are missing or broken.
    """
    return decode(plate.source_path(), expected_sha256=plate.source_sha256(), page=plate.identity().source_page or 1)


def decode(path: Path, max_pixels: int = MAX_PIXELS, expected_sha256: str | None = None, page: int = 1) -> DecodedImage:
    """Read, check, decode and convert one image. The file is read once; the digest is of the bytes that were decoded.

    Safe to call from several threads at once.

    Args:
        path: An image of an accepted format, whatever its name.
        max_pixels: Largest accepted width times height, as stated in the header.
        expected_sha256: Digest that the file must have; None accepts any.
        page: Which page of a TIFF, counted from 1. Other formats have only page 1, the first of an animation.

    Raises:
        ImageRefused: Unreadable, empty, not an accepted image, too large, truncated or damaged, of samples that are
            neither 8 nor 16 bits, or without that page.
        SourceChanged: The digest differs from the expected one.
    """
    data = read_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise SourceChanged(path, expected_sha256, sha256)
    image, layout = read_image(path, data, max_pixels, page)
    exif = image.info.get("exif")
    icc = image.info.get("icc_profile")
    name, mode = format_name(image), image.mode
    with refusing(path, f"is a {name} whose pixels cannot be converted"):
        jpeg = read_jpeg_facts(image) if isinstance(image, JpegImagePlugin.JpegImageFile) else None
        if layout.bits == 16:
            rounded = round_to_8_bits(image, lambda: open_page(name, data, page), is_white_zero=layout.is_white_zero)
            extremes = rounded.extremes
            converted = convert_to_srgb8(rounded.image, layout, "16_bit_samples" if extremes else "8_bit_srgb")
        else:
            converted, extremes = convert_to_srgb8(image, layout), None
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
    return DecodedImage(converted.image, facts, extremes)


def require_decodable(path: Path, max_pixels: int = MAX_PIXELS, page: int = 1) -> str:
    """Check that a page of an image can be decoded, without keeping or converting its pixels.

    Returns:
        sha256 of the bytes that were decoded.

    Raises:
        ImageRefused: As `decode`.
    """
    data = read_bytes(path)
    read_image(path, data, max_pixels, page)
    return hashlib.sha256(data).hexdigest()


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises ImageRefused if it is no regular file, is unreadable, empty or larger than MAX_BYTES."""
    try:
        if not path.is_file():
            raise ImageRefused(path, "is not a file" if path.exists() else "does not exist")
        if path.stat().st_size == 0:  # as every file of /proc, of which some wait for ever to be read
            raise ImageRefused(path, f"is empty (0 bytes). {EXPORT}")
        return read_regular(path, MAX_BYTES)
    except UnfitFile as error:
        raise ImageRefused(path, f"has {error.found}; the limit is {MAX_BYTES:,} bytes. Fix: compress it") from error
    except OSError as error:
        raise ImageRefused(path, f"cannot be read: {error.strerror}") from error


def list_pages(path: Path) -> list[int]:
    """The pages of a TIFF that `decode` can be asked for, counted from 1, without smaller copies of other pages.

    The first page is always listed; it is the only one of every other format. No pixel is decoded.

    Raises:
        ImageRefused: Unreadable, or a TIFF of more than 1000 pages or with a damaged page.
    """
    try:
        with path.open("rb") as file:
            is_tiff = file.read(4).startswith(tuple(TiffImagePlugin.PREFIXES))
    except OSError as error:
        raise ImageRefused(path, f"cannot be read: {error.strerror}") from error
    if not is_tiff:
        return [1]
    with refusing(path, "is a TIFF whose pages cannot be counted", MANY_PAGES):
        return list_full_pages(TiffImagePlugin.TiffImageFile(BytesIO(read_bytes(path)), ""))


def read_image(path: Path, data: bytes, max_pixels: int, page: int) -> tuple[ImageFile.ImageFile, SampleLayout]:
    """Open, check the header, and decode one page. Raises ImageRefused."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES: expected False, found True, which accepts truncated scans."
            " Fix: remove the code that sets it"
        )
    hold_in_one_block()  # so that `pixels_of` need not copy it
    name = recognise(path, data)
    with refusing(path, f"is a {name} whose header cannot be read"):
        try:
            image = open_page(name, data, page)
        except SyntaxError:  # Pillow's error for samples that it has no mode for, and for tags that make no sense
            if name == "TIFF":
                refuse_unknown_samples(path, data, page)
            raise
        require_readable_header(path, image, max_pixels)
        layout = read_layout(image, page)
    with refusing(path, f"is a truncated or damaged {name}"):
        if name == "PNG":
            require_whole_png(data)
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            require_whole_tags(data, image.tag_v2.offset)
            require_whole_segments(data, image.tag_v2)
        load_in_huge_pages(image)
    return image, layout


def open_page(name: str, data: bytes, page: int) -> ImageFile.ImageFile:
    """Open a file of a recognised format at a page, without decoding it. Raises ValueError without such a page."""
    image = OPENERS[name](BytesIO(data))
    if page != 1 and isinstance(image, TiffImagePlugin.TiffImageFile):
        seek_tiff_page(image, page)
    elif page != 1:
        raise ValueError(f"page {page} was asked for; only page 1 of a {name} is read")
    return image


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
