"""Scalars of `input_image.json` that follow from the census, on pictures small enough to count by hand."""

import numpy as np
import pytest

from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.tones import measure_colours, measure_tones

# Ten pixels, one of each kind the ratios ask about.
PICTURE = np.array(
    [
        [(255, 255, 255), (245, 245, 245), (244, 250, 250), (255, 250, 246), (10, 10, 10)],
        [(0, 0, 0), (0, 120, 60), (11, 10, 10), (100, 108, 104), (100, 109, 100)],
    ],
    np.uint8,
)


def test_ratios_of_ten_pixels():
    tones = measure_tones(count_colours(PICTURE))
    assert tones.background_ratio == 0.3  # 255 255 255, 245 245 245, 255 250 246
    assert tones.white_ratio == 0.1  # 255 255 255
    assert tones.black_ratio == 0.2  # 10 10 10, 0 0 0
    assert tones.clipped_low_ratio == 0.2  # 0 0 0, 0 120 60
    assert tones.clipped_high_ratio == 0.2  # 255 255 255, 255 250 246


def test_means_and_deviations_of_two_pixels():
    tones = measure_tones(count_colours(np.array([[(10, 0, 30), (20, 255, 30)]], np.uint8)))
    assert tones.mean_rgb == (15, 127.5, 30)
    assert tones.std_rgb == (5, 127.5, 0)
    assert tones.min_rgb == (10, 0, 30)
    assert tones.max_rgb == (20, 255, 30)
    # luma: 0.2126 * 10 + 0.0722 * 30 = 4.292 -> 4; 4.252 + 182.376 + 2.166 = 188.794 -> 189
    assert tones.luminance_mean == 96.5
    assert tones.luminance_std == 92.5
    assert tones.rms_contrast == 92.5 / 255
    assert tones.luminance_entropy == 1
    assert (tones.luminance_p01, tones.luminance_p99) == (4, 189)


@pytest.mark.parametrize(("coloured_px", "is_grey"), [(0, True), (1, True), (2, False)])
def test_a_picture_is_like_grey_when_99_of_100_pixels_are(coloured_px: int, is_grey: bool):
    rgb = np.full((10, 10, 3), (100, 108, 104), np.uint8)  # channels 8 apart: still grey
    rgb[0, :coloured_px] = (100, 109, 104)  # 9 apart
    assert measure_tones(count_colours(rgb)).grayscale_like is is_grey


def test_histograms_are_the_channels_counts():
    colours = measure_colours(count_colours(PICTURE))
    assert colours.pixel_count == 10
    for channel, counts in enumerate((colours.red, colours.green, colours.blue)):
        assert counts == tuple(np.bincount(PICTURE[..., channel].ravel(), minlength=256).tolist())
    assert sum(colours.luminance) == sum(colours.lab.counts) == 10


def test_an_empty_census_is_refused():
    empty = count_colours(PICTURE, np.zeros((2, 5), bool))
    with pytest.raises(ValueError, match="at least one pixel"):
        measure_tones(empty)
    with pytest.raises(ValueError, match="at least one pixel"):
        measure_colours(empty)
