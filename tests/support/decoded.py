"""Decoded scans as tests compare them: pixels row by row, and what the colour policy did."""

from pathlib import Path

import numpy as np
from PIL import Image

from atlas_resources.plates.decode import DecodedImage, decode
from support.made_scans import encoded

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # PNG colour types
RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def pixels(decoded: DecodedImage) -> list[tuple[int, ...]]:
    """Row by row."""
    return [tuple(map(int, pixel)) for pixel in np.asarray(decoded.image).reshape(-1, 3)]


def actions(decoded: DecodedImage) -> dict[str, str]:
    """The recorded actions that differ from those of a plain image."""
    plain = {"exif_orientation": "absent", "icc_profile": "absent", "alpha": "absent", "bit_depth": "8", "page": "only"}
    plain |= {"name": "srgb8-v2", "cmyk": "not_cmyk", "page_number": 1, "extremes": "8_bit_srgb"}
    plain |= {"lab": "not_lab"}
    return {key: value for key, value in decoded.facts.colour_policy.model_dump().items() if plain[key] != value}


def decode_image(tmp_path: Path, image: Image.Image, kind: str, **options: object) -> DecodedImage:
    path = tmp_path / f"scan.{kind.lower()}"
    path.write_bytes(encoded(image, kind, **options))
    return decode(path)
