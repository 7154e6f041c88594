"""The pixels of a Pillow picture as an array, without copying them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BLOCK_BYTES = 1 << 30
"""Pictures of up to 268 Mpx are held in one block of memory; larger ones are copied."""


def hold_in_one_block() -> None:
    """Has Pillow hold each picture that it makes from now on in one block, not in blocks of 16 MiB.

    It is what the environment variable PILLOW_BLOCK_SIZE sets, which Pillow reads as it is imported.
    """
    if Image.core.get_block_size() != BLOCK_BYTES:
        Image.core.set_block_size(BLOCK_BYTES)


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """A picture's own memory where it is in one block, else a copy of it, which takes half as long as decoding a JPEG.

    Args:
        image: of mode "L" or "RGB".

    Returns:
        uint8 [H, W] of mode "L". Of mode "RGB" [H, W, 4] in R, G, B order, as Pillow holds it, where the fourth number
        has no meaning; [H, W, 3] if it is copied. Not to be written to.
    """
    import pyarrow  # takes a tenth of a second, so only a process that measures pixels imports it

    try:
        pixels = pyarrow.array(image)
    except ValueError:  # Pillow's error for a picture in several blocks
        return np.asarray(image)
    numbers = pixels if image.mode == "L" else pixels.flatten()
    return numbers.to_numpy(zero_copy_only=True).reshape(image.height, image.width, *([] if image.mode == "L" else [4]))
