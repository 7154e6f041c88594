"""Pictures small enough for the UI to show them inline."""

import numpy as np
import pytest
from PIL import Image

from atlas_assets.ui.encoding import jpeg_within
from atlas_assets.ui.plots import UI_INLINE_CHARACTERS, glance_markdown


@pytest.mark.parametrize("size", [(320, 200), (200, 320), (40, 40), (2000, 30)])
def test_noise_fits_the_uis_inline_limit(size):
    """Noise is the worst case for a codec."""
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    markdown = glance_markdown(jpeg_within(Image.fromarray(noise)), "plate-001")
    assert len(markdown) < UI_INLINE_CHARACTERS == 1000
    assert markdown.startswith("![plate-001](data:image/webp;base64,")


def test_an_alt_text_that_leaves_no_room_is_an_error():
    picture = jpeg_within(Image.new("RGB", (100, 100)))
    with pytest.raises(ValueError, match="Fix: shorten the alt text"):
        glance_markdown(picture, "x" * 1000)
