"""What every spec declares gives the input that the processor of its weights' own library gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.made_specs import PROJECT, project_spec
from support.real_plates import one_of_each_family, wants_real_plates

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Embedder
from atlas_resources.plates.decode import decode
from benchmarks.processors import SMALLEST, default_of, reference_of, subject_of

OWN = {"otsu_luma", "mtcnn_faces"}  # their preprocessing is the project's own
AS_THEY_ARE = {"ppocr_v6_small", "ppocr_v6_small_tiles", "tesseract"}  # a reader's library has its own steps
LITE0, LITE2 = "efficientnet_lite0", "efficientnet_lite2"
FLOAT_ROUNDING = 2e-6  # inputs are within -3..3: a few units in the last place of float32


def compared() -> list[str]:
    """Every spec that has a loader and a fixed preprocessing of pixels."""
    return sorted(key for key, spec in PROJECT.specs.items() if spec.loader and spec.preprocessing and not spec.region)


def short_sides(spec: Spec) -> list[int]:
    """Sides of images such that the resized one leaves a margin of 0, 1, 2 and 3 modulo 4 beside a crop."""
    assert spec.preprocessing is not None
    resize = spec.preprocessing.resize
    return [resize.size_px + extra for extra in range(4)] if resize and resize.size_px < 600 else [601]


def noise(width: int, height: int) -> Image.Image:
    random = np.random.default_rng(width * 10_000 + height)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize("key", sorted(set(compared()) - OWN - AS_THEY_ARE))
def test_a_declared_preprocessing_is_the_librarys(key: str):
    """The longer side is odd, so that sides are truncated; landscape and portrait alternate."""
    spec = project_spec(key)
    assert spec.preprocessing is not None
    preprocess, reference = build_preprocess(spec.preprocessing), reference_of(spec)
    for number, side in enumerate(short_sides(spec)):
        image = noise(*((side, side + 94 + number) if number % 2 else (side + 94 + number, side)))
        found, expected = preprocess(image).numpy(), reference(image)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < FLOAT_ROUNDING, image.size


@pytest.mark.parametrize("key", ["efficientnet_lite0", "efficientnet_lite0_imagenet", "efficientnet_lite0_tiles"])
# Resized to a shorter side of 256 they are 311, 257, 258 and 259 px long: margins of 87 (3 modulo 4), 33, 34 and 35.
@pytest.mark.parametrize("size", [(1317, 1600), (256, 257), (256, 258), (259, 256)])
def test_efficientnet_lite0_crops_as_timm_does(key: str, size: tuple[int, int]):
    spec = project_spec(key)
    assert spec.preprocessing is not None
    difference = build_preprocess(spec.preprocessing)(noise(*size)).numpy() - reference_of(spec)(noise(*size))
    assert np.abs(difference).max() < FLOAT_ROUNDING


@wants_real_plates
@pytest.mark.parametrize("key", [LITE0, LITE2])
@pytest.mark.parametrize("path", one_of_each_family(), ids=lambda path: path.stem)
def test_a_real_plate_becomes_timms_input(key: str, path: Path):
    spec, image = project_spec(key), decode(path).image
    assert spec.preprocessing is not None
    difference = build_preprocess(spec.preprocessing)(image).numpy() - reference_of(spec)(image)
    assert np.abs(difference).max() < FLOAT_ROUNDING


@pytest.mark.parametrize("key", [LITE0, LITE2])
def test_the_vector_of_a_plate_of_1317_by_1600_is_that_of_timms_transform(key: str):
    spec = project_spec(key)
    assert spec.preprocessing is not None
    model = load_model(spec)
    assert isinstance(model, Embedder)
    image = noise(1317, 1600)
    found, expected = model.embed(
        torch.stack([build_preprocess(spec.preprocessing)(image), torch.from_numpy(reference_of(spec)(image))])
    ).astype(np.float64)
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert cosine == pytest.approx(1, abs=1e-6)


def test_only_the_projects_own_preprocessing_has_no_reference():
    declared = {key: project_spec(key).preprocessing for key in compared()}
    assert {key for key, steps in declared.items() if steps and steps.reference == "own"} == OWN
    assert {key for key, steps in declared.items() if steps and steps.reference == "as_they_are"} == AS_THEY_ARE
    assert all(steps and steps.reference for steps in declared.values())


@pytest.mark.parametrize("key", sorted(AS_THEY_ARE))
def test_a_readers_library_is_given_pixels_that_no_step_has_changed(key: str):
    steps = project_spec(key).preprocessing
    assert steps is not None
    assert (steps.resize, steps.crop_px, steps.mean, steps.std, steps.rescale, steps.pad) == (None,) * 6


def largest_difference(spec: Spec) -> float:
    """Between the library's default processor and the declared preprocessing, on noise; 0 where that is the default."""
    default = default_of(spec)
    if default is None or spec.preprocessing is None:
        return 0.0
    image = noise(701, 903)
    return float(np.abs(default[1](image) - build_preprocess(spec.preprocessing)(image).numpy()).max())


@pytest.mark.parametrize("key", compared())
def test_a_spec_whose_librarys_default_differs_states_by_how_much(key: str):
    spec = project_spec(key)
    stated, default = spec.default_processor, default_of(spec)
    if largest_difference(spec) <= SMALLEST:
        assert stated is None
        return
    assert stated is not None
    assert default is not None
    assert (stated.name, stated.subject) == (default[0], subject_of(spec, default[0])), (
        f"Measure it again: python -m benchmarks.processors PLATES {key} --write"
    )
    assert stated.largest_difference > SMALLEST
