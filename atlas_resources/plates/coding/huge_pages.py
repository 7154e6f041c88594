"""A picture's memory in huge pages, so that decoding does not stop at every 4 KiB for the kernel to find a page."""

import numpy as np
from PIL import Image, ImageFile

FOUR_BYTES = frozenset({"RGB", "RGBA", "CMYK"})
"""Modes of which Pillow holds a pixel in four bytes."""
LEAST_BYTES = 8 << 20
"""Four huge pages of x86-64. For less there is nothing to gain."""


def load_in_huge_pages(image: ImageFile.ImageFile) -> None:
    """Decodes an opened file, as `image.load()` does, into memory of NumPy's.

    NumPy asks the kernel for huge pages for its arrays, and Pillow does not. Most distributions give them only to those
    who ask (/sys/kernel/mm/transparent_hugepage/enabled: madvise).

    Args:
        image: opened and not yet loaded. It is marked as read-only, so that Pillow copies it where it would change it.
    """
    byte_count = 4 * image.width * image.height
    if image.mode in FOUR_BYTES and byte_count >= LEAST_BYTES:
        import pyarrow  # takes a twentieth of a second, so only a process that decodes large pictures imports it

        memory = pyarrow.py_buffer(np.zeros(byte_count, np.uint8))
        numbers = pyarrow.Array.from_buffers(pyarrow.uint8(), byte_count, [None, memory])
        pixels = pyarrow.FixedSizeListArray.from_arrays(numbers, 4)
        image.im = Image.fromarrow(pixels, image.mode, image.size).im
    image.load()
