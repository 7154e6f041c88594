"""The picture as it is sent to a server: its size by a declared policy, as a PNG in a data URL."""

import base64
import io
import math

import numpy as np
from PIL import Image

MOST_ASPECT = 200
"""Of the sides of a picture, by transformers' `smart_resize` of Qwen2-VL, which refuses more."""


def sent_size(
    width_px: int, height_px: int, min_pixels: int | None, max_pixels: int, multiple_px: int
) -> tuple[int, int]:
    """Width and height of the picture as sent.

    With `min_pixels` and a multiple it is `smart_resize` of transformers' Qwen2-VL image processor at 5.23: both sides
    rounded to multiples, then scaled down or up as a whole where their product is beyond a limit.

    Args:
        width_px, height_px: of the picture.
        min_pixels: fewest pixels; None for no such limit.
        max_pixels: most pixels.
        multiple_px: of which each side is a multiple.

    Raises:
        ValueError: one side is more than 200 times the other.
    """
    if max(width_px, height_px) / min(width_px, height_px) > MOST_ASPECT:
        raise ValueError(f"expected sides of at most 1 to {MOST_ASPECT}, found {width_px} x {height_px} px")
    sides = [round(side / multiple_px) * multiple_px for side in (width_px, height_px)]
    pixels = sides[0] * sides[1]
    if pixels > max_pixels:
        scale = math.sqrt(width_px * height_px / max_pixels)
        sides = [math.floor(side / scale / multiple_px) * multiple_px for side in (width_px, height_px)]
    elif min_pixels and pixels < min_pixels:
        scale = math.sqrt(min_pixels / (width_px * height_px))
        sides = [math.ceil(side * scale / multiple_px) * multiple_px for side in (width_px, height_px)]
    return max(multiple_px, sides[0]), max(multiple_px, sides[1])


def resized(pixels: np.ndarray, min_pixels: int | None, max_pixels: int, multiple_px: int) -> Image.Image:
    """The picture of uint8 [H, W, 3], RGB in sRGB, at its size as sent: bicubic, by Pillow, smoothed as it shrinks."""
    image = Image.fromarray(pixels)
    size = sent_size(image.width, image.height, min_pixels, max_pixels, multiple_px)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def data_url(image: Image.Image) -> str:
    """A picture as a data URL with a PNG, which loses nothing."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def messages_of(words: str, image: Image.Image | None) -> list[dict]:
    """One turn of a person: the picture before the words, as the in-process chat loader has it."""
    picture = [{"type": "image_url", "image_url": {"url": data_url(image)}}] if image else []
    return [{"role": "user", "content": [*picture, {"type": "text", "text": words}]}]
