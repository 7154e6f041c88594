"""An image file's format, by its first bytes and its header; which files are refused before a pixel is decoded."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NoReturn

from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from atlas_resources.plates.coding.tiff import read_page_tags
from atlas_resources.plates.colour_policy import SampleLayout

ACCEPTED = "JPEG, PNG, TIFF, WebP"
EXPORT = "Fix: export the scan again"
WITHOUT_WHITE = (
    ", and no tag says which is white. Fix: scale them so that black is 0 and white is 65535, and save it as a 16-bit"
    " TIFF or PNG"
)

# Pillow's own limit (179 Mpx) is process-wide, so it cannot differ between calls or threads. It is lifted once, here;
# `require_readable_header` compares the header with the caller's limit before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

# What Pillow warns of (odd EXIF, surplus TIFF tags) changes no pixel of an accepted file.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

Opener = Callable[[BytesIO], ImageFile.ImageFile]

# One reader for each accepted format, called directly: `Image.open` hides why a reader failed.
OPENERS: dict[str, Opener] = {
    "JPEG": lambda stream: JpegImagePlugin.jpeg_factory(stream, ""),
    "PNG": lambda stream: PngImagePlugin.PngImageFile(stream, ""),
    "TIFF": lambda stream: TiffImagePlugin.TiffImageFile(stream, ""),
    "WEBP": lambda stream: WebPImagePlugin.WebPImageFile(stream, ""),
}

READABLE_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "I;16", "I;16B"}

# Major brands of HEIF files, ISO/IEC 23008-12, annexes B and E; Apple's cameras write heic.
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")

# Chromaticity of the illuminant D50, CIE 15:2004, table T.3; and the difference of rounded tags that is accepted.
D50, WHITE_TOLERANCE = (0.34567, 0.3585), 0.001

# TIFF 6.0, section 8.
BITS_PER_SAMPLE, PHOTOMETRIC, ORIENTATION, SAMPLES_PER_PIXEL, PLANAR_CONFIGURATION = 258, 262, 274, 277, 284
WHITE_POINT, SAMPLE_FORMAT = 318, 339
WHITE_IS_ZERO, SEPARATE_PLANES = 0, 2
UNSIGNED, SIGNED, FLOATING = 1, 2, 3  # SampleFormat, section 19
MOST_SAMPLES = 5  # CMYK with an alpha channel


class ImageRefused(ValueError):
    """A file that cannot be measured. `reason` is one line without the file's name; the message has both."""

    def __init__(self, path: Path, reason: str):
        self.path = path
        self.reason = " ".join(reason.split())
        super().__init__(f"{path}: {self.reason}")


def recognise(path: Path, data: bytes) -> str:
    """Pillow's name of the accepted format that the first bytes show. Raises ImageRefused for any other format."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(tuple(TiffImagePlugin.PREFIXES)):
        return "TIFF"
    try:
        other = unread_format(data) or str(Image.open(BytesIO(data)).format)
    except Exception as error:  # whatever another format's reader raises, the file is of no accepted format
        raise ImageRefused(path, f"is not an image that can be read; accepted are {ACCEPTED}. {EXPORT}") from error
    article = "an" if other[0] in "AEIO" else "a"
    raise ImageRefused(path, f"is {article} {other}; accepted are {ACCEPTED}. Fix: save it as a PNG or TIFF")


def unread_format(data: bytes) -> str | None:
    """HEIC, AVIF or JPEG XL by the first bytes; None for any other format. Their pixels are never decoded."""
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")):
        return "JPEG XL"
    if data[4:8] != b"ftyp":
        return None
    return "AVIF" if data[8:12] in (b"avif", b"avis") else "HEIC" if data[8:12] in HEIF_BRANDS else None


@contextmanager
def refusing(path: Path, reason: str, fix: str = EXPORT) -> Iterator[None]:
    """Turn any error of Pillow into ImageRefused: `reason`, Pillow's own message, and `fix`."""
    try:
        yield
    except (ImageRefused, MemoryError):
        raise
    except Exception as error:  # hostile bytes make Pillow raise nearly anything; only this file is refused
        raise ImageRefused(path, f"{reason}: {str(error).rstrip('. ') or type(error).__name__}. {fix}") from error


def refuse_unknown_samples(path: Path, data: bytes, page: int) -> NoReturn:
    """Raise ImageRefused for a page of a TIFF that Pillow has no mode for, by what its tags say of its samples."""
    tags = read_page_tags(data, page)
    count = tags.get(SAMPLES_PER_PIXEL, 1)
    bits = tags.get(BITS_PER_SAMPLE, (1,))
    formats = set(tags.get(SAMPLE_FORMAT, (UNSIGNED,)))
    if count > MOST_SAMPLES:
        fix = "Fix: save the bands for red, green and blue as an RGB TIFF or PNG"
        raise ImageRefused(path, f"has {count} samples per pixel; accepted are gray, RGB, CMYK and Lab. {fix}")
    if FLOATING in formats:
        raise ImageRefused(path, f"has floating-point samples ({count} of {max(bits)} bits per pixel){WITHOUT_WHITE}")
    if SIGNED in formats or max(bits) == 32:
        raise ImageRefused(path, f"has samples of 32 bits or with a sign ({count} per pixel){WITHOUT_WHITE}")
    described = f"{count} of {max(bits)} bits per pixel, PhotometricInterpretation {tags.get(PHOTOMETRIC)}"
    raise ImageRefused(
        path,
        f"has samples of a kind that is not read ({described}). Fix: save it as an 8- or 16-bit RGB TIFF or PNG",
    )


def require_readable_header(path: Path, image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Raise ImageRefused, before a pixel is decoded, for an image that is too large or that Pillow decodes wrongly."""
    width, height = image.size
    if width * height > max_pixels:
        raise ImageRefused(
            path,
            f"has {width * height:,} pixels ({width} x {height}); the limit is {max_pixels:,}. "
            "Fix: save it at a lower resolution, or in parts",
        )
    if image.mode in ("I", "F"):
        samples = "floating-point samples" if image.mode == "F" else "samples of 32 bits or with a sign"
        raise ImageRefused(path, f"has {samples} (mode {image.mode}){WITHOUT_WHITE}")
    if image.mode not in READABLE_MODES:
        raise ImageRefused(
            path, f"is stored in {image.mode}; accepted are gray, RGB, palette, CMYK and Lab. Fix: save it as RGB"
        )
    if image.mode == "LAB":
        require_d50(path, image)
    bits = sample_bits(image)
    if bits not in (1, 2, 4, 8, 16):
        raise ImageRefused(path, f"has {bits} bits per sample; accepted are 8 and 16. Fix: save it with 16 bits")
    if bits == 16 and image.mode == "RGB" and "transparency" in image.info:
        # Pillow drops the low byte before it compares, so colours near the transparent one become transparent too.
        raise ImageRefused(path, "is a 16-bit PNG with one transparent colour. Fix: save it with an alpha channel")
    if bits == 16 and isinstance(image, TiffImagePlugin.TiffImageFile) and has_planes(image):
        # Pillow reads them as if they had 8 bits, or their high bytes alone, without an error.
        raise ImageRefused(path, "is a 16-bit TIFF with separate planes. Fix: save it with interleaved samples")


def require_d50(path: Path, image: ImageFile.ImageFile) -> None:
    """Raise ImageRefused for a CIELAB image whose tag names another white than D50, which the colour policy assumes."""
    white = image.tag_v2.get(WHITE_POINT) if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    if white is None:
        return
    if len(white) != len(D50) or max(abs(float(x) - d50) for x, d50 in zip(white, D50, strict=True)) > WHITE_TOLERANCE:
        named = ", ".join(f"{float(x):.4f}" for x in white)
        raise ImageRefused(path, f"is in CIELAB of white {named}; accepted is D50. Fix: save it as RGB")


def has_planes(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether each colour is in a plane of its own."""
    is_planar = image.tag_v2.get(PLANAR_CONFIGURATION) == SEPARATE_PLANES
    return is_planar and image.tag_v2.get(SAMPLES_PER_PIXEL, 1) > 1


def read_layout(image: ImageFile.ImageFile, page: int) -> SampleLayout:
    """The facts of the samples that only the header has. Call it before loading, which drops a TIFF's orientation."""
    is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
    return SampleLayout(
        bits=8 if image.mode in ("P", "PA") else sample_bits(image),
        # Pillow inverts WhiteIsZero samples at every depth but 16 bits.
        is_white_zero=is_tiff and image.mode.startswith("I;16") and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO,
        page=page,
        # Counting a TIFF's pages takes time that grows with their square.
        has_several_pages=image.is_animated if is_tiff else getattr(image, "n_frames", 1) > 1,
        applied_orientation=image.getexif().get(ORIENTATION) if is_tiff else None,
    )


def sample_bits(image: ImageFile.ImageFile) -> int:
    """Bits per sample as stored in the file, from the header alone."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (1,)))
    if isinstance(image, PngImagePlugin.PngImageFile) and image.tile:
        raw_mode = str(image.tile[0].args)  # such as "L;2" or "RGB;16B"; plain for 8 bits
        depth = raw_mode.partition(";")[2].removesuffix("B")
        return int(depth) if depth else 1 if image.mode == "1" else 8
    return 8
