"""Dominant colours: found, weighed, merged where the eye would not part them, and the same every time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.color import deltaE_ciede2000

from atlas_resources.measures.colour import palette as palette_module
from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.palette import (
    JUST_NOTICEABLE_DIFFERENCE,
    PaletteColour,
    dominant_colours,
    dominant_colours_with_spread,
)


def palette_of(pixels_by_colour: dict[tuple[int, int, int], int]) -> tuple[PaletteColour, ...]:
    colours = np.repeat(np.array(list(pixels_by_colour), np.uint8), list(pixels_by_colour.values()), axis=0)
    return dominant_colours(count_colours(colours[None]))


def test_one_colour_is_the_whole_palette():
    (colour,) = palette_of({(128, 128, 128): 12})
    assert (colour.srgb_hex, colour.share) == ("#808080", 1)
    # Y = ((128 / 255 + 0.055) / 1.055) ** 2.4 = 0.21586, L* = 116 * Y ** (1 / 3) - 16 = 53.585
    assert colour.lab == pytest.approx((53.585, 0, 0), abs=0.005)


def test_flat_colours_come_back_with_their_shares_the_largest_first():
    palette = palette_of({(20, 20, 30): 10, (240, 230, 200): 70, (190, 40, 30): 20})
    assert [(colour.srgb_hex, colour.share) for colour in palette] == [
        ("#f0e6c8", 0.7),
        ("#be281e", 0.2),
        ("#14141e", 0.1),
    ]


def test_noise_around_three_tones_gives_their_means():
    random = np.random.default_rng(0)
    tones = np.array([(235, 225, 200), (60, 90, 50), (170, 60, 40)])
    rgb = np.repeat(tones, [600, 300, 100], axis=0) + random.integers(-2, 3, (1000, 3))
    palette = dominant_colours(count_colours(rgb.astype(np.uint8)[None]), most=3)
    assert [colour.share for colour in palette] == [0.6, 0.3, 0.1]
    for colour, tone in zip(palette, tones, strict=True):
        found = [int(colour.srgb_hex[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(np.array(found) - tone).max() <= 1


def test_colours_the_eye_does_not_part_are_one():
    # CIEDE2000 of greys 200 and 203 is 0.74; of 200 and 210, 2.43 (skimage.color.deltaE_ciede2000).
    assert [colour.share for colour in palette_of({(200, 200, 200): 1, (203, 203, 203): 3})] == [1]
    assert [colour.share for colour in palette_of({(200, 200, 200): 1, (210, 210, 210): 3})] == [0.75, 0.25]


def test_equal_shares_are_ordered_by_colour_and_not_by_chance():
    palette = palette_of({(200, 30, 30): 5, (30, 30, 200): 5, (0, 0, 0): 5})
    assert [colour.srgb_hex for colour in palette] == ["#000000", "#1e1ec8", "#c81e1e"]


def test_the_same_pixels_in_any_order_give_the_same_palette():
    random = np.random.default_rng(1)
    rgb = random.normal(150, 50, (120, 100, 3)).clip(0, 255).astype(np.uint8)
    shuffled = random.permutation(rgb.reshape(-1, 3)).reshape(60, 200, 3)
    first, again, of_shuffled = (dominant_colours(count_colours(pixels)) for pixels in (rgb, rgb, shuffled))
    assert first == again == of_shuffled


@settings(deadline=None)  # the first example imports scikit-learn
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))))
def test_shares_sum_to_one_and_no_two_colours_are_alike(rgb: np.ndarray):
    palette = dominant_colours(count_colours(rgb))
    shares = [colour.share for colour in palette]
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    assert shares == sorted(shares, reverse=True)
    assert 1 <= len(palette) <= 8
    labs = np.array([colour.lab for colour in palette])
    differences = deltaE_ciede2000(labs[:, None], labs[None])
    assert (differences[~np.eye(len(labs), dtype=bool)] >= JUST_NOTICEABLE_DIFFERENCE).all()


def test_no_pixel_is_refused():
    with pytest.raises(ValueError, match="at least one pixel"):
        dominant_colours(count_colours(np.zeros((0, 5, 3), np.uint8)))


def test_colours_that_every_seed_finds_have_no_spread():
    colours = np.repeat(np.array([(20, 20, 30), (240, 230, 200), (190, 40, 30)], np.uint8), [10, 70, 20], axis=0)
    census = count_colours(colours[None])
    found = dominant_colours_with_spread(census)
    assert [(colour.srgb_hex, colour.share) for colour in found] == [
        ("#f0e6c8", 0.7),
        ("#be281e", 0.2),
        ("#14141e", 0.1),
    ]
    assert [colour.spread_delta_e for colour in found] == [0, 0, 0]


def test_the_spread_is_the_difference_to_what_the_other_seeds_find(monkeypatch):
    """A cloud without clusters, where k-means has many minima: by hand from the palettes of the four seeds."""
    random = np.random.default_rng(3)
    census = count_colours(random.integers(0, 256, (200, 200, 3), np.uint8))
    palettes = {}
    k_means = palette_module._k_means

    def by_seed(points, weights, clusters, seeds):
        found = k_means(points, weights, clusters, seeds)
        for seed, (labels, variance) in zip(seeds, found, strict=True):
            sums = [points[labels == label] * weights[labels == label, None] for label in range(clusters)]
            pixels = [weights[labels == label].sum() for label in range(clusters)]
            palettes[seed] = (variance, np.array([part.sum(axis=0) / n for part, n in zip(sums, pixels, strict=True)]))
        return found

    monkeypatch.setattr(palette_module, "_k_means", by_seed)
    found = dominant_colours_with_spread(census)
    best = min(palettes, key=lambda seed: palettes[seed][0])
    expected = np.array(sorted(map(tuple, palettes[best][1])))
    np.testing.assert_allclose(sorted(colour.lab for colour in found), expected)
    for colour in found:
        differences = [
            deltaE_ciede2000(np.array([colour.lab]), palettes[seed][1]).min() for seed in palettes if seed != best
        ]
        assert colour.spread_delta_e == pytest.approx(max(differences), abs=1e-9)
    assert max(colour.spread_delta_e for colour in found) > JUST_NOTICEABLE_DIFFERENCE


def test_the_best_of_several_seeds_is_at_least_as_near_to_the_pixels_as_one_seed():
    random = np.random.default_rng(5)
    centres = random.integers(0, 256, (14, 3))
    rgb = (centres[random.integers(0, 14, 40_000)] + random.normal(0, 12, (40_000, 3))).clip(0, 255).astype(np.uint8)
    census = count_colours(rgb.reshape(200, 200, 3))

    def distance(palette: tuple[PaletteColour, ...]) -> float:
        centres = np.array([colour.lab for colour in palette])
        return float((((census.lab[:, None] - centres) ** 2).sum(axis=2).min(axis=1) * census.counts).sum())

    assert distance(dominant_colours_with_spread(census)) <= distance(dominant_colours(census)) * 1.002
