"""Shrinking a picture, encoding it within a limit of bytes, and fitting text into it."""

import io

from PIL import Image, ImageFont

Rgb = tuple[int, int, int]

MAX_PICTURE_BYTES = 19_999
"""Size limit of one picture in bytes: under 20 kB, so under 27 kB as a data URI."""

SUPERSAMPLING = 3
"""Plots are drawn this many times too large and reduced, for smooth edges."""

CARD: Rgb = (250, 249, 245)
TEXT: Rgb = (48, 44, 40)
FAINT: Rgb = (150, 144, 136)


def shrink(image: Image.Image, longest_side_px: int) -> Image.Image:
    """Shrinks an RGB image to a longer side of at most `longest_side_px`: an integer reduction, then Lanczos."""
    if image.mode != "RGB":
        raise ValueError(
            f"Picture: expected an image of mode RGB, found {image.mode}. Fix: decode it by the colour policy first."
        )
    factor = min(1.0, longest_side_px / max(image.size))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def jpeg_within(image: Image.Image, max_bytes: int = MAX_PICTURE_BYTES) -> bytes:
    """The best JPEG of an RGB image within the limit: lower quality is tried first, then four fifths of the size.

    Raises:
        ValueError: not even 8 px fit.
    """
    while True:
        for quality in (88, 80, 70, 58, 45):
            encoded = _encoded(image, "JPEG", quality=quality)
            if len(encoded) <= max_bytes:
                return encoded
        if max(image.size) <= 8:
            raise ValueError(f"Picture: expected at most {max_bytes} bytes, found {len(encoded)} at {image.size} px.")
        image = image.resize((max(1, image.width * 4 // 5), max(1, image.height * 4 // 5)), Image.Resampling.LANCZOS)


def png_within(image: Image.Image, max_bytes: int = MAX_PICTURE_BYTES) -> bytes:
    """The best PNG of an RGB plot within the limit: with all colours, else with 128, 32 or 8. Raises ValueError."""
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
    """JPEG or PNG bytes as an RGB image."""
    return Image.open(io.BytesIO(picture)).convert("RGB")


def paste_fitted(sheet: Image.Image, picture: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Pastes a picture into the centre of a box (x_min, y_min, x_max, y_max), scaled to fit. Changes `sheet`."""
    width, height = box[2] - box[0], box[3] - box[1]
    factor = min(width / picture.width, height / picture.height)
    size = (max(1, int(picture.width * factor)), max(1, int(picture.height * factor)))
    resized = picture.resize(size, Image.Resampling.LANCZOS)
    sheet.paste(resized, (box[0] + (width - size[0]) // 2, box[1] + (height - size[1]) // 2))


def fit_text(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float) -> str:
    """The text, or as much of it as fits, followed by three dots."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "...") > width_px:
        text = text[:-1]
    return text.rstrip() + "..."


def wrap_text(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float) -> list[str]:
    """The words of a text in lines that fit; a word that is too long for a line is cut by `fit_text`."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width_px:
            lines[-1] += f" {word}"
        else:
            lines.append(fit_text(word, font, width_px))
    return lines


def _encoded(image: Image.Image, image_format: str, **options: int | bool) -> bytes:
    """The encoded image as bytes. `options` are Pillow's for the format."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()
