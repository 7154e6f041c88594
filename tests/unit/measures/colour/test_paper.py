"""Paper against print: the split, its shares and its mean colours."""

import numpy as np
import pytest

from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.paper import split_paper


def test_ink_on_paper_is_split_at_the_inks_tone():
    rgb = np.full((4, 5, 3), (250, 240, 220), np.uint8)
    rgb[1, 1:4] = (0, 0, 0)
    split = split_paper(count_colours(rgb))
    assert split.threshold == 0
    assert (split.paper_ratio, split.foreground_ratio) == (17 / 20, 3 / 20)
    assert split.foreground_lab == pytest.approx((0, 0, 0), abs=0.01)
    assert split.paper_lab == pytest.approx(tuple(count_colours(rgb[:1]).lab[0]))


def test_the_mean_of_paper_is_taken_in_lab():
    rgb = np.array([[(255, 255, 255), (255, 255, 255), (206, 206, 206), (0, 0, 0)]], np.uint8)
    split = split_paper(count_colours(rgb))
    assert split.paper_ratio == 0.75
    # Grey 206: Y = ((206 / 255 + 0.055) / 1.055) ** 2.4 = 0.61721, L* = 116 * Y ** (1 / 3) - 16 = 82.765,
    # and (2 * 100 + 82.765) / 3
    assert split.paper_lab == pytest.approx((94.255, 0, 0), abs=0.01)


def test_a_blank_sheet_has_nothing_above_its_threshold():
    split = split_paper(count_colours(np.full((3, 3, 3), 200, np.uint8)))
    assert (split.threshold, split.paper_ratio, split.foreground_ratio) == (200, 0, 1)
    assert split.paper_lab is None
    # Grey 200: Y = 0.57758, L* = 80.604
    assert split.foreground_lab == pytest.approx((80.604, 0, 0), abs=0.01)


def test_no_pixel_is_refused():
    with pytest.raises(ValueError, match="at least one pixel"):
        split_paper(count_colours(np.zeros((3, 0, 3), np.uint8)))
