"""Perceptual hashes: 64 bits that stay near when a picture is scaled or recompressed. Not digests of its content."""

from dataclasses import dataclass

import imagehash
from PIL import Image


@dataclass(frozen=True)
class PerceptualHashes:
    """Three 64-bit hashes, each as 16 hex digits. Two pictures compare by the number of bits that differ.

    Attributes:
        ahash: average hash, which of 8 x 8 pixels exceed their mean.
        dhash: difference hash, which of 8 x 8 pixels exceed their left neighbour.
        phash: which of the 8 x 8 lowest DCT coefficients of 32 x 32 pixels exceed their median.
    """

    ahash: str
    dhash: str
    phash: str


def perceptual_hashes(image: Image.Image) -> PerceptualHashes:
    """The hashes of the `imagehash` library, over every pixel.

    The library's grey is Pillow's (Rec. 601 luma), not Atlas' luminance, and it shrinks by Pillow's Lanczos filter: so
    the hashes compare with those that other tools made by the library.

    Args:
        image: of mode "RGB", 8-bit sRGB, upright.
    """
    # Each hash converts to "L" first: done once here, it is no change for them.
    grey = image.convert("L")
    return PerceptualHashes(
        ahash=str(imagehash.average_hash(grey)),
        dhash=str(imagehash.dhash(grey)),
        phash=str(imagehash.phash(grey)),
    )
