"""How a picture is made small, encoded within a number of bytes, and lettered. What it shows is for `pictures`."""

import io

from PIL import Image, ImageFont

Rgb = tuple[int, int, int]

MAX_PICTURE_BYTES = 19_999
"""Bytes of any one picture: under 20 kB, thus under 27 kB as a data URI."""

CARD: Rgb = (250, 249, 245)
TEXT: Rgb = (48, 44, 40)
FAINT: Rgb = (150, 144, 136)


def shrink(image: Image.Image, longest_side_px: int) -> Image.Image:
    """The RGB image with its longer side at most `longest_side_px`, by Lanczos over a first integer reduction."""
    if image.mode != "RGB":
        raise ValueError(
            f"Picture: expected an image of mode RGB, found {image.mode}; decode it by the colour policy first."
        )
    factor = min(1.0, longest_side_px / max(image.size))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def jpeg_within(image: Image.Image, max_bytes: int = MAX_PICTURE_BYTES) -> bytes:
    """The best JPEG of an RGB image that fits: quality falls first, then the size, by a fifth at a time."""
    while True:
        for quality in (88, 80, 70, 58, 45):
            encoded = _encoded(image, "JPEG", quality=quality)
            if len(encoded) <= max_bytes:
                return encoded
        if max(image.size) <= 8:
            raise ValueError(f"Picture: expected at most {max_bytes} bytes, found {len(encoded)} at {image.size} px.")
        image = image.resize((max(1, image.width * 4 // 5), max(1, image.height * 4 // 5)), Image.Resampling.LANCZOS)


def png_within(image: Image.Image, max_bytes: int = MAX_PICTURE_BYTES) -> bytes:
    """The best PNG of an RGB plot that fits: all colours, then ever fewer. Raises ValueError when none does."""
    encoded = _encoded(image, "PNG", optimize=True)
    for colours in (128, 32, 8):
        if len(encoded) <= max_bytes:
            return encoded
        encoded = _encoded(image.quantize(colours), "PNG", optimize=True)
    if len(encoded) > max_bytes:
        raise ValueError(
            f"Plot: expected at most {max_bytes} bytes, found {len(encoded)} with 8 colours at {image.size} px."
        )
    return encoded


def open_picture(picture: bytes) -> Image.Image:
    """JPEG or PNG bytes made here, as an RGB image."""
    return Image.open(io.BytesIO(picture)).convert("RGB")


def paste_fitted(sheet: Image.Image, picture: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Pastes a picture centred in a box (x_min, y_min, x_max, y_max), shrunk to fit it. Changes `sheet`."""
    width, height = box[2] - box[0], box[3] - box[1]
    factor = min(width / picture.width, height / picture.height)
    size = (max(1, int(picture.width * factor)), max(1, int(picture.height * factor)))
    resized = picture.resize(size, Image.Resampling.LANCZOS)
    sheet.paste(resized, (box[0] + (width - size[0]) // 2, box[1] + (height - size[1]) // 2))


def fit_text(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float) -> str:
    """The text, or as much of it as fits with three dots after it."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "...") > width_px:
        text = text[:-1]
    return text.rstrip() + "..."


def _encoded(image: Image.Image, image_format: str, **options: int | bool) -> bytes:
    """An image's file as bytes, by Pillow's options for its format."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()
