"""Colours inside a mask: by hand and by scikit-image, whatever is around it."""

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.paper import split_paper
from atlas_resources.measures.masks.colours import describe_colours

PAPER = (230, 220, 190)


def _plate() -> tuple[np.ndarray, np.ndarray]:
    """A disc of two greens, three to one, on paper."""
    rows, columns = np.mgrid[:120, :160]
    mask = np.hypot(rows - 60, columns - 80) < 40
    rgb = np.full((120, 160, 3), PAPER, np.uint8)
    rgb[mask] = (40, 120, 60)
    rgb[mask & (rows % 4 == 0)] = (20, 60, 30)
    return rgb, mask


def test_pixels_outside_the_mask_change_nothing():
    rgb, mask = _plate()
    paper = split_paper(count_colours(rgb))
    found = describe_colours(count_colours(rgb, mask), paper, 5)
    rgb[~mask] = (255, 0, 255)
    assert describe_colours(count_colours(rgb, mask), paper, 5) == found


def test_means_are_those_of_the_pixels():
    rgb, mask = _plate()
    found = describe_colours(count_colours(rgb, mask), split_paper(count_colours(rgb)), 5)
    pixels = rgb[mask]
    luma = np.floor((pixels @ np.array([2126, 7152, 722]) + 5000) / 10000)
    lab = rgb2lab(pixels / 255)
    assert found.luminance_mean == pytest.approx(luma.mean())
    assert found.luminance_std == pytest.approx(luma.std())
    assert (found.luminance_p01, found.luminance_p99) == (luma.min(), luma.max())
    np.testing.assert_allclose(found.lab_mean, lab.mean(axis=0))
    assert found.chroma_mean == pytest.approx(np.hypot(lab[:, 1], lab[:, 2]).mean())


def test_the_palette_is_the_two_greens_by_their_shares():
    rgb, mask = _plate()
    found = describe_colours(count_colours(rgb, mask), split_paper(count_colours(rgb)), 5)
    share = np.mean(rgb[mask][:, 0] == 40)
    assert [(colour.srgb_hex, round(colour.share, 12)) for colour in found.palette] == [
        ("#28783c", round(share, 12)),
        ("#143c1e", round(1 - share, 12)),
    ]


def test_the_difference_from_the_paper_is_ciede2000():
    rgb, mask = _plate()
    found = describe_colours(count_colours(rgb, mask), split_paper(count_colours(rgb)), 5)
    paper_lab = rgb2lab(np.array(PAPER) / 255)
    assert found.paper_difference == pytest.approx(deltaE_ciede2000(found.lab_mean, paper_lab))
    assert found.paper_ratio == 0


def test_a_segment_of_paper_is_no_different_from_it():
    rgb, mask = _plate()
    found = describe_colours(count_colours(rgb, ~mask), split_paper(count_colours(rgb)), 5)
    assert (found.paper_ratio, found.paper_difference) == (1, pytest.approx(0, abs=1e-9))


def test_a_plate_without_paper_has_no_difference():
    rgb = np.full((4, 4, 3), 90, np.uint8)
    census = count_colours(rgb)
    assert describe_colours(census, split_paper(census), 5).paper_difference is None
