"""What an image file is by its first bytes and its header, and which files are refused before a pixel is decoded."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from atlas_resources.plates.colour_policy import SampleLayout

ACCEPTED = "JPEG, PNG, TIFF, WebP"

# Pillow's own limit (179 Mpx) is process-wide, so it cannot differ from call to call or from thread to thread. It is
# lifted once, here; `require_readable_header` holds the caller's limit against the header before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

# What Pillow warns of (odd EXIF, surplus TIFF tags) changes no pixel that this module lets through.
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

# TIFF 6.0, section 8.
BITS_PER_SAMPLE, PHOTOMETRIC, ORIENTATION, PLANAR_CONFIGURATION = 258, 262, 274, 284
WHITE_IS_ZERO, SEPARATE_PLANES = 0, 2


class ImageRefused(ValueError):
    """A file that is not measured. `reason` is one line without the file's name; the message has both."""

    def __init__(self, path: Path, reason: str):
        self.path = path
        self.reason = " ".join(reason.split())
        super().__init__(f"{path}: {self.reason}")


def recognise(path: Path, data: bytes) -> str:
    """The accepted format that the first bytes announce, as Pillow names it. Raises ImageRefused, naming any other."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(tuple(TiffImagePlugin.PREFIXES)):
        return "TIFF"
    try:
        other = str(Image.open(BytesIO(data)).format)
    except Exception as error:  # whatever a reader of some other format trips over, it is none of the accepted ones
        raise ImageRefused(path, f"is not an image that can be read; accepted are {ACCEPTED}") from error
    raise ImageRefused(path, f"is {'an' if other[0] in 'AEIO' else 'a'} {other}; accepted are {ACCEPTED}")


@contextmanager
def refusing(path: Path, reason: str) -> Iterator[None]:
    """Turn what Pillow raises on hostile bytes, which is nearly anything, into ImageRefused: `reason` and its words."""
    try:
        yield
    except (ImageRefused, MemoryError):
        raise
    except Exception as error:  # hostile bytes make Pillow raise nearly anything; all of it refuses this file alone
        raise ImageRefused(path, f"{reason}: {error or type(error).__name__}") from error


def require_readable_header(path: Path, image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Refuse, before a pixel is decoded, what is too large or what Pillow would not decode to what the file says."""
    width, height = image.size
    if width * height > max_pixels:
        raise ImageRefused(path, f"has {width * height:,} pixels ({width} x {height}); the limit is {max_pixels:,}")
    if image.mode in ("I", "F"):
        raise ImageRefused(
            path, f"has 32-bit or signed samples (mode {image.mode}); accepted are 8 and 16 bits. Save it with 16 bits"
        )
    if image.mode not in READABLE_MODES:
        raise ImageRefused(path, f"is stored in {image.mode}; accepted are gray, RGB, palette and CMYK. Save it as RGB")
    bits = sample_bits(image)
    if bits not in (1, 2, 4, 8, 16):
        raise ImageRefused(path, f"has {bits} bits a sample; accepted are 8 and 16. Save it with 16 bits")
    if bits == 16 and image.mode == "RGB" and "transparency" in image.info:
        # Pillow drops the low byte before it compares, so the transparent colour cannot be told from its neighbours.
        raise ImageRefused(path, "is a 16-bit PNG with one transparent colour; save it with an alpha channel")
    if bits == 16 and isinstance(image, TiffImagePlugin.TiffImageFile) and has_raw_planes(image):
        # Pillow reads such planes as if they had 8 bits, and does not complain.
        raise ImageRefused(
            path, "is an uncompressed 16-bit TIFF with separate planes; save it with interleaved samples"
        )


def has_raw_planes(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Each colour lies in a plane of its own, and not libtiff but Pillow itself puts them together."""
    return image.tag_v2.get(PLANAR_CONFIGURATION) == SEPARATE_PLANES and not image.use_load_libtiff


def read_layout(image: ImageFile.ImageFile) -> SampleLayout:
    """What only the header tells of the samples. To be called before loading, which drops a TIFF's orientation."""
    is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
    return SampleLayout(
        bits=8 if image.mode in ("P", "PA") else sample_bits(image),
        # Pillow turns WhiteIsZero samples round at every depth but 16 bits.
        is_white_zero=is_tiff and image.mode.startswith("I;16") and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO,
        has_several_pages=getattr(image, "n_frames", 1) > 1,
        applied_orientation=image.getexif().get(ORIENTATION) if is_tiff else None,
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
