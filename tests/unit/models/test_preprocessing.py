"""Pixels become a model's input exactly as by the processor of the model's family."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from segment_anything.utils.transforms import ResizeLongestSide
from support.made_specs import project_spec
from support.real_plates import one_of_each_family, wants_real_plates
from torchvision.transforms import v2
from transformers import (
    BitImageProcessorPil,
    CLIPImageProcessorPil,
    DetrImageProcessorPil,
    SamImageProcessorPil,
    ViTImageProcessorPil,
)

from atlas_resources.instruments.spec.input import Interpolation, Preprocessing, Resize
from atlas_resources.models.preprocessing import ImageTooLong, build_preprocess, centre_crop, resize
from atlas_resources.plates.decode import decode

# openai/clip-vit-base-patch32, preprocessor_config.json, sha256
# 910e70b3956ac9879ebc90b22fb3bc8a75b6a0677814500101a4c072bd7857bd
CLIP = CLIPImageProcessorPil(
    size={"shortest_edge": 224},
    crop_size={"height": 224, "width": 224},
    resample=3,
    image_mean=[0.48145466, 0.4578275, 0.40821073],
    image_std=[0.26862954, 0.26130258, 0.27577711],
)
# facebook/dinov2-base, preprocessor_config.json, sha256
# 14e780d86fa1861f8751f868d7f45425b5feb55c38ca26f152ca5097ab30f828
DINOV2 = BitImageProcessorPil(
    size={"shortest_edge": 256},
    crop_size={"height": 224, "width": 224},
    resample=3,
    image_mean=[0.485, 0.456, 0.406],
    image_std=[0.229, 0.224, 0.225],
)
REFERENCES = {"clip_vit_base_patch32": CLIP, "dinov2_base": DINOV2}
FLOAT_ROUNDING = 1e-6  # inputs lie in -3..3: a few units in the last place of float32


def declared(key: str) -> Preprocessing:
    steps = project_spec(key).preprocessing
    assert steps is not None
    return steps


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(width * 10_000 + height).integers(0, 256, (height, width, 3), np.uint8)
    )


def distance(key: str, image: Image.Image) -> float:
    """Largest difference of any input value from the reference processor's."""
    given = build_preprocess(declared(key))(image)
    expected = np.asarray(REFERENCES[key](image, return_tensors="np")["pixel_values"][0])
    assert (given.dtype, tuple(given.shape)) == (torch.float32, expected.shape)
    return float(np.abs(given.numpy() - expected).max())


# Sizes at which rounding decides: odd margins, sides that truncate, sides equal to the crop, both orientations.
@pytest.mark.parametrize(
    "size", [(300, 400), (401, 300), (257, 1000), (999, 333), (224, 224), (256, 256), (227, 256), (640, 481), (100, 77)]
)
@pytest.mark.parametrize("key", REFERENCES)
def test_a_drawn_image_becomes_the_references_input(key: str, size: tuple[int, int]):
    assert distance(key, noise(*size)) < FLOAT_ROUNDING


@settings(max_examples=40, deadline=None)
@given(width=st.integers(20, 600), height=st.integers(20, 600))
def test_an_image_of_any_size_becomes_the_references_input(width: int, height: int):
    assert distance("dinov2_base", noise(width, height)) < FLOAT_ROUNDING


@wants_real_plates
@pytest.mark.parametrize("key", REFERENCES)
@pytest.mark.parametrize("path", one_of_each_family(), ids=lambda path: path.stem)
def test_a_real_plate_becomes_the_references_input(key: str, path):
    assert distance(key, decode(path).image) < FLOAT_ROUNDING


@pytest.mark.parametrize(
    ("width", "left"),
    [
        (224, 0),
        (225, 0),  # margin 1: torchvision's CenterCrop rounds 0.5 to 0 as well
        (227, 1),  # margin 3: floor gives 1, torchvision rounds 1.5 to 2
        (229, 2),
        (256, 16),
    ],
)
def test_an_odd_margin_leaves_its_extra_pixel_on_the_right(width: int, left: int):
    ramp = np.zeros((224, width, 3), np.uint8)
    ramp[..., 0] = np.arange(width)
    assert int(np.asarray(centre_crop(Image.fromarray(ramp), 224))[0, 0, 0]) == left


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 40), height=st.integers(1, 40), side=st.integers(1, 40))
def test_rounded_half_to_even_the_crop_is_torchvisions(width: int, height: int, side: int):
    image = noise(width, height)
    assert np.array_equal(np.asarray(centre_crop(image, side, "half_to_even")), np.asarray(v2.CenterCrop(side)(image)))


def test_the_two_ways_to_crop_differ():
    """Why it is declared: at a margin of 3 torchvision keeps the pixels one further to the right."""
    ramp = Image.fromarray(np.arange(227, dtype=np.uint8)[None, :].repeat(227, axis=0))
    assert np.asarray(centre_crop(ramp, 224))[0, 0] == 1
    assert np.asarray(centre_crop(ramp, 224, "half_to_even"))[0, 0] == 2


def test_an_image_smaller_than_the_crop_is_centred_on_black():
    crop = np.asarray(centre_crop(Image.new("RGB", (3, 4), "white"), 6))[..., 0]
    assert crop.tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 255, 255, 255, 0],
        [0, 0, 255, 255, 255, 0],
        [0, 0, 255, 255, 255, 0],
        [0, 0, 255, 255, 255, 0],
        [0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("size", [(160, 120), (1000, 1501), (1503, 700), (2048, 3), (33, 47), (1024, 1024)])
def test_a_raster_for_segment_anything_is_what_it_would_make_itself(size: tuple[int, int]):
    image = noise(*size)
    expected = ResizeLongestSide(1024).apply_image(np.asarray(image))
    assert np.array_equal(np.asarray(resize(image, declared("sam_vit_base"))), expected)


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        ("shortest_side", (300, 401), (100, 133)),  # 100 * 401 / 300 = 133.67, truncated
        ("shortest_side", (401, 300), (133, 100)),
        ("longest_side", (300, 401), (75, 100)),  # 300 * 100 / 401 = 74.81, rounded
        ("longest_side", (401, 300), (100, 75)),
        ("longest_side", (200, 401), (50, 100)),  # 49.88
        ("longest_side", (1, 2000), (1, 100)),  # 0.05: a side is never nothing
        ("exact", (300, 401), (100, 100)),
    ],
)
def test_sides_round_by_hand(mode: str, size: tuple[int, int], expected: tuple[int, int]):
    steps = declared("otsu_luma").model_copy(update={"resize": {"mode": mode, "size_px": 100}})
    steps = Preprocessing.model_validate(steps.model_dump(warnings=False))
    assert resize(Image.new("RGB", size), steps).size == expected


DETR = DetrImageProcessorPil(size={"shortest_edge": 80, "longest_edge": 133})
SIZES_NEAR_THE_LIMIT = [(300, 400), (400, 300), (100, 167), (101, 200), (90, 150), (80, 200), (500, 81), (60, 100)]


def detr_steps() -> Preprocessing:
    resize_to = Resize(mode="shortest_side", size_px=80, max_px=133)
    return declared("detr_resnet50").model_copy(update={"resize": resize_to})


@pytest.mark.parametrize("size", SIZES_NEAR_THE_LIMIT)
def test_a_longest_side_has_its_limit_as_in_the_reference(size: tuple[int, int]):
    expected = DETR(noise(*size), return_tensors="np")["pixel_values"][0]
    given = build_preprocess(detr_steps())(noise(*size)).numpy()
    assert given.shape == expected.shape
    assert np.abs(given - expected).max() < FLOAT_ROUNDING


@pytest.mark.parametrize("size", [(160, 120), (120, 160), (1000, 333), (64, 64)])
def test_a_square_is_padded_as_in_the_reference(size: tuple[int, int]):
    reference = SamImageProcessorPil(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})
    resize_to = Resize(mode="longest_side", size_px=64)
    steps = declared("sam_vit_base_hub").model_copy(update={"resize": resize_to})
    expected = reference(noise(*size), return_tensors="np")["pixel_values"][0]
    assert np.abs(build_preprocess(steps)(noise(*size)).numpy() - expected).max() < FLOAT_ROUNDING


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box"])
def test_each_filter_is_the_references(interpolation: Interpolation):
    number = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4}[interpolation]
    reference = ViTImageProcessorPil(size={"height": 48, "width": 48}, resample=number)
    steps = declared("siglip_so400m_patch14_384").model_copy(
        update={"resize": Resize(mode="exact", size_px=48), "interpolation": interpolation}
    )
    expected = reference(noise(131, 90), return_tensors="np")["pixel_values"][0]
    assert np.abs(build_preprocess(steps)(noise(131, 90)).numpy() - expected).max() < FLOAT_ROUNDING


def test_pixels_are_divided_by_the_images_maximum():
    """Level 50 of at most 200 is 0.25; what is black throughout stays 0."""
    steps = declared("otsu_luma").model_copy(update={"resize": None, "rescale": "image_maximum"})
    preprocess = build_preprocess(steps)
    assert preprocess(Image.new("RGB", (1, 1), (0, 50, 200))).flatten().tolist() == [0, 0.25, 1]
    assert preprocess(Image.new("RGB", (1, 1))).flatten().tolist() == [0, 0, 0]


def test_without_a_resize_the_pixels_stay():
    image = noise(31, 17)
    steps = declared("otsu_luma").model_copy(update={"resize": None})
    assert resize(image, steps) is image


def test_without_a_mean_the_input_is_only_rescaled():
    """Level 51 of 255 is 0.2."""
    steps = declared("otsu_luma").model_copy(update={"resize": None})
    tensor = build_preprocess(steps)(Image.new("RGB", (2, 2), (0, 51, 255)))
    assert torch.allclose(tensor[:, 0, 0], torch.tensor([0, 0.2, 1]), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("size", "found"), [((1, 20_000), "256 x 5120000"), ((20_000, 1), "5120000 x 256")])
def test_a_strip_that_would_fill_the_memory_is_refused_before_it_is_resized(size: tuple[int, int], found: str):
    """Resized by its shorter side, it would take 3.9 GB, of which the centre crop keeps 150 kB."""
    expected = f"found {size[0]} x {size[1]} px, which would become {found}. Crop the scan"
    with pytest.raises(ImageTooLong, match=expected):
        build_preprocess(declared("dinov2_base"))(Image.new("RGB", size))


def test_a_long_plate_is_still_resized():
    """A frieze forty times as long as it is high."""
    assert resize(noise(4000, 100), declared("dinov2_base")).size == (10_240, 256)


def test_a_strip_is_resized_by_its_longer_side():
    assert resize(Image.new("RGB", (20_000, 1)), declared("otsu_luma")).size == (1024, 1)
