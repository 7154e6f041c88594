"""From an image file to its pixels: recognising by content, refusing with a reason, decoding, and the facts of the coding.

How samples become 8-bit sRGB is in `colour_policy`; where sources lie is in `dataset`.
"""

import hashlib
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from atlas_resources.colour_policy import POLICY_NAME, SampleLayout, convert_to_srgb8
from atlas_resources.contracts import ColourPolicy, JpegFacts

__all__ = [
    "POLICY_NAME",
    "DecodedImage",
    "ImageRefused",
    "SourceChanged",
    "SourceFacts",
    "decode",
    "require_decodable",
]

MAX_PIXELS = 500_000_000
ACCEPTED = "JPEG, PNG, TIFF, WebP"

# Pillow's own limit (179 Mpx) is process-wide, so it cannot differ from call to call or from thread to thread. It is lifted once, here;
# `require_readable_header` holds the caller's limit against the header before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

# What Pillow warns of (odd EXIF, surplus TIFF tags) changes no pixel that this module lets through; what does is raised.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

Opener = Callable[[BytesIO], ImageFile.ImageFile]

# One reader for each accepted format. Called directly and not through `Image.open`, which hides why a reader gave up.
OPENERS: dict[str, Opener] = {
    "JPEG": lambda stream: JpegImagePlugin.jpeg_factory(stream, ""),
    "PNG": lambda stream: PngImagePlugin.PngImageFile(stream, ""),
    "TIFF": lambda stream: TiffImagePlugin.TiffImageFile(stream, ""),
    "WEBP": lambda stream: WebPImagePlugin.WebPImageFile(stream, ""),
}

READABLE_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "I;16", "I;16B"}

# Chroma subsampling by the ratio of the luma's to the chroma's sampling factors (ITU-T T.81, A.1.1).
SUBSAMPLING_NAMES = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}

# TIFF 6.0, section 8.
BITS_PER_SAMPLE, PHOTOMETRIC, ORIENTATION, PLANAR_CONFIGURATION = 258, 262, 274, 284
WHITE_IS_ZERO, SEPARATE_PLANES = 0, 2


class ImageRefused(ValueError):
    """A file that is not measured. `reason` is one line without the file's name; the message has both."""

    def __init__(self, path: Path, reason: str):
        self.path = path
        self.reason = " ".join(reason.split())
        super().__init__(f"{path}: {self.reason}")


class SourceChanged(ValueError):
    """A source whose bytes are not those that were registered."""

    def __init__(self, path: Path, expected_sha256: str, found_sha256: str):
        super().__init__(
            f"{path}: expected sha256 {expected_sha256}, as registered, found {found_sha256}. A source never changes: put the registered"
            f" bytes back, and register the new scan as a plate of its own"
        )


@dataclass(frozen=True)
class SourceFacts:
    """What a source is, apart from its pixels.

    Attributes:
        format: Container by content: JPEG, PNG, TIFF or WEBP.
        mode: Pillow's mode before conversion.
        exif_sha256: Of the EXIF block without its "Exif\\0\\0" prefix, so equal in all containers. None without a block; a TIFF has none
            apart from itself.
        icc_sha256: Of the embedded ICC profile, usable or not.
        icc_description: The profile's own description.
        jpeg: Facts of the coding; None for other formats.
        colour_policy: What was done to reach 8-bit sRGB.
        file_size_bytes: Length of the file.
        source_sha256: Of the very bytes that were decoded.
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
    """A source's pixels (`image`: mode RGB, 8-bit sRGB, upright, no `info`) with its facts."""

    image: Image.Image
    facts: SourceFacts


def decode(path: Path, max_pixels: int = MAX_PIXELS, expected_sha256: str | None = None) -> DecodedImage:
    """Read, check, decode and convert one image. The file is read once, and the digest is of the bytes that were decoded.

    Safe to call from several threads at once.

    Args:
        path: An image of an accepted format, whatever its name.
        max_pixels: Largest width times height, as the header states it.
        expected_sha256: Digest the file must have.

    Raises:
        ImageRefused: Unreadable, empty, not an accepted image, too large, truncated or damaged, or of samples that are not 8 or 16 bits.
        SourceChanged: The digest is not the expected one.
    """
    data = read_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise SourceChanged(path, expected_sha256, sha256)
    image, layout = load(path, data, max_pixels)
    exif = image.info.get("exif")
    icc = image.info.get("icc_profile")
    name, mode = format_name(image), image.mode
    jpeg = read_jpeg_facts(image) if isinstance(image, JpegImagePlugin.JpegImageFile) else None
    with refusing(path, f"is a {name} whose pixels cannot be converted"):
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
    """Decode an image to see that it can be, without keeping or converting its pixels.

    Returns:
        sha256 of the bytes that were decoded.

    Raises:
        ImageRefused: As `decode`.
    """
    data = read_bytes(path)
    load(path, data, max_pixels)
    return hashlib.sha256(data).hexdigest()


def read_bytes(path: Path) -> bytes:
    """The whole file; refused when it is no regular file, unreadable or empty."""
    try:
        if not path.is_file():
            raise ImageRefused(path, "is not a file" if path.exists() else "does not exist")
        data = path.read_bytes()
    except OSError as error:
        raise ImageRefused(path, f"cannot be read: {error.strerror}") from error
    if not data:
        raise ImageRefused(path, "is empty (0 bytes)")
    return data


def load(path: Path, data: bytes, max_pixels: int) -> tuple[ImageFile.ImageFile, SampleLayout]:
    """Open, check the header, and decode the first page. Raises ImageRefused."""
    name = recognise(path, data)
    with refusing(path, f"is a {name} whose header cannot be read"):
        image = OPENERS[name](BytesIO(data))
        require_readable_header(path, image, max_pixels)
        layout = read_layout(image)
    with refusing(path, f"is a truncated or damaged {name}"):
        if name == "PNG":
            # Pillow ignores the checksums of the pixels and a missing end; a second, undecoded pass over the chunks does not.
            OPENERS[name](BytesIO(data)).verify()
        image.load()
    return image, layout


def recognise(path: Path, data: bytes) -> str:
    """The accepted format that the first bytes announce, as Pillow names it. Raises ImageRefused, with the format where it is another."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(tuple(TiffImagePlugin.PREFIXES)):
        return "TIFF"
    try:
        other = Image.open(BytesIO(data)).format or "file of an unknown kind"
    except Exception as error:  # whatever a reader of some other format trips over, it is none of the accepted ones
        raise ImageRefused(path, f"is not an image that can be read; accepted are {ACCEPTED}") from error
    raise ImageRefused(path, f"is {'an' if other[0] in 'AEIO' else 'a'} {other}; accepted are {ACCEPTED}")


@contextmanager
def refusing(path: Path, reason: str) -> Iterator[None]:
    """Turn what Pillow raises on hostile bytes, which is nearly anything, into ImageRefused with `reason` and Pillow's words."""
    try:
        yield
    except (ImageRefused, MemoryError):
        raise
    except Exception as error:
        raise ImageRefused(path, f"{reason}: {error or type(error).__name__}") from error


def require_readable_header(path: Path, image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Refuse, before any pixel is decoded, what is too large or what Pillow would decode to something else than the file says."""
    width, height = image.size
    if width * height > max_pixels:
        raise ImageRefused(path, f"has {width * height:,} pixels ({width} x {height}); the limit is {max_pixels:,}")
    if image.mode in ("I", "F"):
        raise ImageRefused(path, f"has 32-bit or signed samples (mode {image.mode}); accepted are 8 and 16 bits. Save it with 16 bits")
    if image.mode not in READABLE_MODES:
        raise ImageRefused(path, f"is stored in {image.mode}; accepted are gray, RGB, palette and CMYK. Save it as RGB")
    bits = sample_bits(image)
    if bits not in (1, 2, 4, 8, 16):
        raise ImageRefused(path, f"has {bits} bits a sample; accepted are 8 and 16. Save it with 16 bits")
    if bits == 16 and image.mode == "RGB" and "transparency" in image.info:
        # Pillow drops the low byte before it compares, so the transparent colour cannot be told from its neighbours.
        raise ImageRefused(path, "is a 16-bit PNG with one transparent colour; save it with an alpha channel")
    if bits == 16 and isinstance(image, TiffImagePlugin.TiffImageFile):
        if image.tag_v2.get(PLANAR_CONFIGURATION) == SEPARATE_PLANES and not image.use_load_libtiff:
            # Pillow reads such planes as if they had 8 bits, and does not complain.
            raise ImageRefused(path, "is an uncompressed 16-bit TIFF with separate planes; save it with interleaved samples")


def read_layout(image: ImageFile.ImageFile) -> SampleLayout:
    """What only the header tells of the samples; to be called before the image is loaded, since loading a TIFF drops its orientation."""
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    return SampleLayout(
        bits=8 if image.mode in ("P", "PA") else sample_bits(image),
        # Pillow turns WhiteIsZero samples round at every depth but 16 bits.
        is_white_zero=image.mode.startswith("I;16") and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO,
        has_several_pages=getattr(image, "n_frames", 1) > 1,
        applied_orientation=tags.get(ORIENTATION),
    )


def sample_bits(image: ImageFile.ImageFile) -> int:
    """Bits of a sample as the file stores it, from the header alone."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (1,)))
    if isinstance(image, PngImagePlugin.PngImageFile) and image.tile:
        raw_mode = str(image.tile[0].args)  # such as "L;2" or "RGB;16B"; plain for 8 bits
        depth = raw_mode.partition(";")[2].removesuffix("B")
        return int(depth) if depth else 1 if image.mode == "1" else 8
    return 8


def format_name(image: ImageFile.ImageFile) -> str:
    """Pillow's name of the format; several JPEGs in one file (MPO) are a JPEG whose first picture is read."""
    return "JPEG" if isinstance(image, JpegImagePlugin.JpegImageFile) else str(image.format)


def read_jpeg_facts(image: JpegImagePlugin.JpegImageFile) -> JpegFacts:
    """Coding facts from the frame header and the quantisation tables (in natural order, as Pillow gives them)."""
    tables = b"".join(struct.pack(">64H", *image.quantization[key]) for key in sorted(image.quantization))
    return JpegFacts(
        is_progressive=bool(image.info.get("progressive")),
        subsampling=read_subsampling(image),
        quantisation_sha256=hashlib.sha256(tables).hexdigest(),
    )


def read_subsampling(image: JpegImagePlugin.JpegImageFile) -> str:
    """Chroma subsampling from the sampling factors of the components; "other" where the two chroma differ or the ratio has no name."""
    factors = [(layer[1], layer[2]) for layer in image.layer]
    if len(factors) == 1:
        return "gray"
    (luma_x, luma_y), (chroma_x, chroma_y) = factors[0], factors[1]
    if factors[1] != factors[2] or luma_x % chroma_x or luma_y % chroma_y:
        return "other"
    return SUBSAMPLING_NAMES.get((luma_x // chroma_x, luma_y // chroma_y), "other")
