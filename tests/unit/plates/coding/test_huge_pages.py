"""A picture decoded into memory of NumPy's has the pixels that Pillow decodes."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFile
from support.made_scans import encoded

from atlas_resources.measures.arrays import pixels_of
from atlas_resources.plates.coding.huge_pages import load_in_huge_pages

SIZE = (1900, 1200)  # 9 MB in four bytes a pixel
DRAWN = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), np.uint8))


def opened(content: bytes) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(content))


MODES = {"JPEG": "RGB CMYK L", "PNG": "RGB RGBA L", "TIFF": "RGB RGBA CMYK L", "WEBP": "RGB RGBA"}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes.split()])
def test_the_pixels_are_those_that_pillow_decodes(kind: str, mode: str):
    content = encoded(DRAWN.convert(mode), kind)
    image = opened(content)
    load_in_huge_pages(image)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(opened(content)))


def test_what_is_decoded_is_read_without_a_copy_and_changed_in_a_copy():
    content = encoded(DRAWN, "PNG")
    image = opened(content)
    load_in_huge_pages(image)
    pixels = pixels_of(image)
    image.paste((0, 0, 0), (0, 0, *SIZE))
    np.testing.assert_array_equal(pixels[..., :3], np.asarray(DRAWN))
    assert image.getextrema() == ((0, 0), (0, 0), (0, 0))


def test_a_truncated_file_is_an_error():
    with pytest.raises(OSError, match="truncated"):
        load_in_huge_pages(opened(encoded(DRAWN, "JPEG")[:-1000]))
