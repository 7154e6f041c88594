"""Encodes a composed plate as a scan, in the containers, modes and metadata that real libraries have."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

from atlas_assets.demo.drawing.composition import Composition

JPEG_QUALITY = 92
ORIENTATION_TAG = 0x0112
"""EXIF 2.3, tag Orientation."""


def _jpeg(composition: Composition) -> bytes:
    return _saved(composition.picture, "JPEG", quality=JPEG_QUALITY)


def _jpeg_with_profile(composition: Composition) -> bytes:
    return _saved(composition.picture, "JPEG", quality=JPEG_QUALITY, icc_profile=srgb_profile())


def _jpeg_progressive(composition: Composition) -> bytes:
    return _saved(composition.picture, "JPEG", quality=JPEG_QUALITY, progressive=True)


def _jpeg_gray(composition: Composition) -> bytes:
    return _saved(composition.picture.convert("L"), "JPEG", quality=JPEG_QUALITY)


def _jpeg_cmyk(composition: Composition) -> bytes:
    return _saved(composition.picture.convert("CMYK"), "JPEG", quality=JPEG_QUALITY)


def _jpeg_turned(composition: Composition) -> bytes:
    """Stored a quarter turn anticlockwise, with EXIF orientation 6: "turn clockwise to show"."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    stored = composition.picture.transpose(Image.Transpose.ROTATE_90)
    return _saved(stored, "JPEG", quality=JPEG_QUALITY, exif=exif.tobytes())


def _png_gray16(composition: Composition) -> bytes:
    """16 bits: the high byte is the 8-bit gray, the low byte is constant, since noise would only cost space."""
    gray = np.asarray(composition.picture.convert("L"), dtype=np.uint16)
    return _saved(Image.fromarray(gray * 256 + 128), "PNG", compress_level=1)


def _png_alpha(composition: Composition) -> bytes:
    """Transparent paper: composited over white, colour and alpha give the print again, within one level."""
    pixels = np.asarray(composition.print_on_white)
    alpha = 255 - pixels.min(axis=2)
    lift = np.uint16(255) - alpha
    divisor = np.maximum(alpha, 1).astype(np.uint16)[:, :, None]
    colour = ((pixels - lift[:, :, None]) * np.uint16(255) + divisor // 2) // divisor
    rgba = np.concatenate([np.minimum(colour, 255).astype(np.uint8), alpha[:, :, None]], axis=2)
    return _saved(Image.fromarray(rgba), "PNG", compress_level=1)


def _tiff(composition: Composition) -> bytes:
    return _saved(composition.picture, "TIFF", compression="tiff_lzw")


def _webp(composition: Composition) -> bytes:
    return _saved(composition.picture, "WEBP", quality=90, method=1)


MEDIA: dict[str, tuple[str, Callable[[Composition], bytes]]] = {
    "jpeg": ("jpg", _jpeg),
    "jpeg with sRGB profile": ("jpg", _jpeg_with_profile),
    "jpeg, progressive": ("jpg", _jpeg_progressive),
    "jpeg, grayscale": ("jpg", _jpeg_gray),
    "jpeg, CMYK": ("jpg", _jpeg_cmyk),
    "jpeg, EXIF orientation 6": ("jpg", _jpeg_turned),
    "png, 16-bit grayscale": ("png", _png_gray16),
    "png, transparent paper": ("png", _png_alpha),
    "tiff": ("tif", _tiff),
    "webp": ("webp", _webp),
}
"""Medium to file suffix and encoder."""


def as_seen(composition: Composition, medium: str) -> Image.Image:
    """The picture that a reader of the scan sees, RGB, upright, before lossy coding."""
    if medium == "png, transparent paper":
        return composition.print_on_white
    if "grayscale" in medium:
        return composition.picture.convert("L").convert("RGB")
    return composition.picture


def srgb_profile() -> bytes:
    """LittleCMS's sRGB profile with a fixed creation time (bytes 24 to 35 of the ICC.1 header).

    So the same plate is the same file on any day.
    """
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes((7, 35, 0, 6, 0, 20, 0, 0, 0, 0, 0, 0))
    return bytes(profile)


def _saved(image: Image.Image, image_format: str, **options: str | int | bytes) -> bytes:
    """The image as a file's bytes; options are Pillow's for the format."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()
