"""All of `measure_pixels` on photographs and real plates, held against Pillow, NumPy, SciPy and scikit-image."""

from functools import cache

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data
from skimage.color import rgb2lab
from skimage.filters import sobel, threshold_otsu
from skimage.measure import shannon_entropy
from support.shared import SHARED

from atlas_resources.files.contract import FileContract
from atlas_resources.measures.pixels import PixelFacts, measure_geometry, measure_pixels
from atlas_resources.plates.contracts import ColorHistograms, InputImage

PLATES = sorted((SHARED / "plates").glob("*/*.jpg"))[::13][:3]
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
PICTURES = (*PHOTOGRAPHS, "plate 0", "plate 1", "plate 2")


@cache
def picture_and_facts(name: str) -> tuple[Image.Image, PixelFacts]:
    if name in PHOTOGRAPHS:
        image = Image.fromarray(getattr(data, name)())
    else:
        number = int(name.split()[1])
        if number >= len(PLATES):
            pytest.skip("no real plates lie beside the repository")
        image = Image.open(PLATES[number]).convert("RGB")
    return image, measure_pixels(image)


def luma_of(image: Image.Image) -> np.ndarray:
    """Rec. 709 luma in float64, rounded half up: no colour here is within float error of a half that matters."""
    return np.floor(np.asarray(image) @ np.array([0.2126, 0.7152, 0.0722]) + 0.5 + 1e-9).astype(np.uint8)


@pytest.mark.parametrize("name", PICTURES)
def test_histograms_are_pillows(name: str):
    image, facts = picture_and_facts(name)
    assert [*facts.colours.red, *facts.colours.green, *facts.colours.blue] == image.histogram()
    assert list(facts.colours.luminance) == Image.fromarray(luma_of(image)).histogram()


@pytest.mark.parametrize("name", PICTURES)
def test_tones_are_numpys(name: str):
    image, facts = picture_and_facts(name)
    rgb, luma, tones = np.asarray(image), luma_of(image), facts.tones
    assert tones.mean_rgb == pytest.approx(rgb.mean((0, 1)), rel=1e-10)
    assert tones.std_rgb == pytest.approx(rgb.std((0, 1)), rel=1e-10)
    assert tones.min_rgb == tuple(rgb.min((0, 1)))
    assert tones.max_rgb == tuple(rgb.max((0, 1)))
    assert tones.luminance_mean == pytest.approx(luma.mean(), rel=1e-10)
    assert tones.luminance_std == pytest.approx(luma.std(), rel=1e-10)
    assert tones.luminance_entropy == pytest.approx(shannon_entropy(luma), rel=1e-10)
    percentiles = np.percentile(luma, [1, 99], method="inverted_cdf")
    assert [tones.luminance_p01, tones.luminance_p99] == percentiles.tolist()
    assert tones.background_ratio == (rgb >= 245).all(axis=2).mean()
    assert tones.black_ratio == (rgb <= 10).all(axis=2).mean()
    assert tones.clipped_low_ratio == (rgb == 0).any(axis=2).mean()
    assert tones.clipped_high_ratio == (rgb == 255).any(axis=2).mean()
    assert tones.grayscale_like == ((np.ptp(rgb, axis=2) <= 8).mean() >= 0.99)


@pytest.mark.parametrize("name", PICTURES)
def test_texture_is_scipys_and_scikit_images(name: str):
    image, facts = picture_and_facts(name)
    luma = luma_of(image)
    laplacian = ndimage.convolve(luma.astype(float), np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]), mode="mirror")
    assert facts.texture.laplacian_variance == pytest.approx(laplacian.var(), rel=1e-9)
    assert facts.texture.edge_density == pytest.approx(sobel(luma / 255).mean(), rel=1e-6)


@pytest.mark.parametrize("name", PICTURES)
def test_the_lab_histogram_is_numpys(name: str):
    image, facts = picture_and_facts(name)
    histogram = facts.colours.lab
    lab = rgb2lab(np.asarray(image) / 255).reshape(-1, 3)
    counts, _ = np.histogramdd(lab, histogram.bins, (histogram.l_range, histogram.a_range, histogram.b_range))
    np.testing.assert_array_equal(np.array(histogram.counts).reshape(histogram.bins), counts)


@pytest.mark.parametrize("name", PICTURES)
def test_paper_is_above_scikit_images_otsu(name: str):
    image, facts = picture_and_facts(name)
    luma, paper = luma_of(image), facts.colours.paper
    assert paper.threshold == threshold_otsu(hist=np.bincount(luma.ravel(), minlength=256))
    lab = rgb2lab(np.asarray(image) / 255)
    assert paper.paper_ratio == (luma > paper.threshold).mean()
    assert paper.paper_lab == pytest.approx(lab[luma > paper.threshold].mean(axis=0), abs=1e-6)
    assert paper.foreground_lab == pytest.approx(lab[luma <= paper.threshold].mean(axis=0), abs=1e-6)


@pytest.mark.parametrize("name", PICTURES)
def test_the_palette_is_as_near_to_the_pixels_as_its_mean_allows(name: str):
    image, facts = picture_and_facts(name)
    palette = facts.colours.dominant_colours
    lab = rgb2lab(np.asarray(image) / 255).reshape(-1, 3)
    shares = np.array([colour.share for colour in palette])
    centres = np.array([colour.lab for colour in palette])
    # Centres are means of their pixels, so weighed by their shares they give the picture's mean.
    np.testing.assert_allclose(shares @ centres, lab.mean(axis=0), atol=1e-6)
    nearest = ((lab[::97, None] - centres) ** 2).sum(axis=2).min(axis=1)
    assert nearest.mean() < 0.25 * lab.var(axis=0).sum()


@pytest.mark.parametrize("name", PICTURES)
def test_the_facts_fill_the_files_that_hold_them(name: str):
    image, facts = picture_and_facts(name)
    identity = {"plate_id": "plate-001", "measure_version": "1", "source_sha256": "0" * 64}
    assert ColorHistograms(**identity, **facts.histograms()).pixel_count == image.width * image.height
    scalars = facts.scalars()
    assert set(scalars) <= set(InputImage.model_fields)
    of_the_file = {"filename", "file_size_bytes", "format", "mode", "has_exif", "exif_sha256", "has_icc", "icc_sha256"}
    of_the_decoding = {"icc_description", "jpeg", "colour_policy"}
    assert set(InputImage.model_fields) - set(scalars) == {
        *identity, *of_the_file, *of_the_decoding, *FileContract.model_fields,
    }  # fmt: skip
    assert scalars["full_pixel_pass"] is True


@pytest.mark.parametrize(
    ("width", "height", "orientation", "aspect_ratio"),
    [(300, 200, "landscape", 1.5), (200, 400, "portrait", 0.5), (7, 7, "square", 1.0)],
)
def test_geometry(width: int, height: int, orientation: str, aspect_ratio: float):
    geometry = measure_geometry(width, height)
    assert (geometry.orientation, geometry.aspect_ratio) == (orientation, aspect_ratio)
    assert geometry.pixel_count == width * height
    assert geometry.megapixels == width * height / 1e6


def test_an_image_that_is_not_rgb_is_refused():
    with pytest.raises(ValueError, match='mode "RGB", found "L"'):
        measure_pixels(Image.new("L", (4, 4)))
