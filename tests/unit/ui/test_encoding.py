"""Pictures for the UI stay within their size limit, and invalid input is refused."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from atlas_assets.ui.encoding import jpeg_within
from atlas_assets.ui.masks import area_histogram, mask_overlay
from atlas_assets.ui.plots import data_uri_markdown, histogram_plot, neighbours_strip, scores_plot, thumbnail

LIMIT_BYTES = 20_000


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """The worst case for a JPEG: independent pixels."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def opened(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture))


@settings(max_examples=15, deadline=None)
@given(width=st.integers(1, 700), height=st.integers(1, 700), side=st.integers(16, 640))
def test_a_thumbnail_of_noise_fits(width: int, height: int, side: int) -> None:
    picture = thumbnail(noise(width, height), side)
    assert len(picture) < LIMIT_BYTES
    assert max(opened(picture).size) <= max(side, 1)


def test_a_thumbnail_keeps_proportions_and_does_not_enlarge() -> None:
    assert opened(thumbnail(Image.new("RGB", (3000, 1500), "tan"))).size == (240, 120)
    assert opened(thumbnail(Image.new("RGB", (30, 20), "tan"))).size == (30, 20)


def test_an_overlay_of_noise_with_forty_segments_fits() -> None:
    labels = np.arange(40).repeat(10)[None, :].repeat(300, axis=0)
    masks = [labels == number for number in range(40)]
    assert len(mask_overlay(noise(900, 700), masks)) < LIMIT_BYTES


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_a_histogram_of_any_number_of_areas_fits(count: int) -> None:
    assert len(area_histogram((10 ** np.random.default_rng(0).uniform(-7, 0, count)).tolist())) < LIMIT_BYTES


def test_a_strip_of_noise_fits() -> None:
    items = [(thumbnail(noise(300, 200, seed)), f"plate-{seed:03d}") for seed in range(6)]
    assert len(neighbours_strip(items)) < LIMIT_BYTES


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_histogram_plot_of_noise_fits(seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 10**7, (4, 256))
    picture = histogram_plot(*(row.tolist() for row in counts))
    assert len(picture) < LIMIT_BYTES
    assert (opened(picture).format, opened(picture).size) == ("PNG", (360, 160))


def test_an_empty_histogram_is_drawn_flat() -> None:
    assert opened(histogram_plot([0] * 256, [0] * 256, [0] * 256, [0] * 256)).size == (360, 160)


def test_a_histogram_of_other_than_256_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 256 counts"):
        histogram_plot([1] * 255, [1] * 256, [1] * 256, [1] * 256)


def test_a_histogram_shows_red_at_the_level_where_red_is() -> None:
    red = [0] * 256
    red[255] = 100
    pixels = np.asarray(opened(histogram_plot(red, [0] * 256, [0] * 256, [0] * 256)).convert("RGB")).astype(int)
    _, columns = np.nonzero((pixels[:130, :, 0] - pixels[:130, :, 1]) > 80)
    assert columns.min() > 335


def test_scores_are_ranked_and_only_the_top_five_are_drawn() -> None:
    five = scores_plot(["a", "b", "c", "d", "e"], [0.5, 0.2, 0.1, 0.1, 0.05])
    seven = scores_plot(["x", "e", "d", "c", "b", "a", "y"], [0.0, 0.05, 0.1, 0.1, 0.2, 0.5, 0.0])
    assert len(five) < LIMIT_BYTES
    assert opened(five).size == opened(seven).size
    assert scores_plot(["a", "b"], [0.5, 0.2]) == scores_plot(["b", "a"], [0.2, 0.5])


def test_scores_without_a_label_or_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="for each of 1 labels"):
        scores_plot(["a"], [0.1, 0.2])
    with pytest.raises(ValueError, match="finite value >= 0"):
        scores_plot(["a"], [-0.1])


def test_markdown_contains_the_picture_and_its_media_type() -> None:
    jpeg = thumbnail(Image.new("RGB", (8, 8), "tan"))
    markdown = data_uri_markdown(jpeg, "plate [1]\nrecto")
    head, _, body = markdown.partition("base64,")
    assert head == "![plate (1) recto](data:image/jpeg;"
    assert base64.b64decode(body.removesuffix(")")) == jpeg
    assert data_uri_markdown(scores_plot(["a"], [1.0]), "x").startswith("![x](data:image/png;base64,")


def test_bytes_that_are_not_a_picture_are_refused() -> None:
    with pytest.raises(ValueError, match="expected JPEG, PNG or WebP bytes"):
        data_uri_markdown(b"GIF89a", "x")


def test_an_undecoded_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode RGB, found CMYK"):
        thumbnail(Image.new("CMYK", (8, 8)))


def test_a_limit_that_no_jpeg_can_meet_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected at most 10 bytes"):
        jpeg_within(noise(64, 64), max_bytes=10)
