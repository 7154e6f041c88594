"""Perceptual hashes: bit by bit on pictures one can draw in the head, and near for a recompressed scan."""

import io

import imagehash
import numpy as np
from PIL import Image
from skimage import data

from atlas_resources.measures.hashes import perceptual_hashes


def picture_of(grey: np.ndarray) -> Image.Image:
    return Image.fromarray(np.repeat(grey[..., None].astype(np.uint8), 3, axis=2))


def test_dhash_says_where_it_gets_lighter_to_the_right():
    ramp = np.tile(np.linspace(0, 255, 256), (64, 1))
    assert perceptual_hashes(picture_of(ramp)).dhash == "f" * 16
    assert perceptual_hashes(picture_of(ramp[:, ::-1])).dhash == "0" * 16


def test_ahash_says_where_it_is_lighter_than_the_mean():
    right_half_white = np.zeros((64, 64))
    right_half_white[:, 32:] = 255
    assert perceptual_hashes(picture_of(right_half_white)).ahash == "0f" * 8
    lower_half_white = right_half_white.T
    assert perceptual_hashes(picture_of(lower_half_white)).ahash == "0" * 8 + "f" * 8


def test_hashes_are_those_of_the_library_on_the_colour_picture():
    picture = Image.fromarray(data.coffee())
    hashes = perceptual_hashes(picture)
    assert hashes.ahash == str(imagehash.average_hash(picture))
    assert hashes.dhash == str(imagehash.dhash(picture))
    assert hashes.phash == str(imagehash.phash(picture))


def test_of_a_large_picture_they_are_within_two_bits_of_the_librarys():
    picture = Image.fromarray(data.coffee()).resize((3000, 2000), Image.Resampling.BICUBIC)
    hashes = perceptual_hashes(picture)
    assert imagehash.hex_to_hash(hashes.ahash) - imagehash.average_hash(picture) <= 2
    assert imagehash.hex_to_hash(hashes.dhash) - imagehash.dhash(picture) <= 2
    assert imagehash.hex_to_hash(hashes.phash) - imagehash.phash(picture) <= 2


def test_a_smaller_recompressed_copy_is_near_and_another_picture_far():
    picture = Image.fromarray(data.astronaut())
    file = io.BytesIO()
    picture.resize((300, 300)).save(file, "JPEG", quality=60)
    original, copy, other = map(perceptual_hashes, (picture, Image.open(file), Image.fromarray(data.coffee())))
    for name in ("ahash", "dhash", "phash"):
        bits = imagehash.hex_to_hash(getattr(original, name))
        assert bits - imagehash.hex_to_hash(getattr(copy, name)) <= 4
        assert bits - imagehash.hex_to_hash(getattr(other, name)) >= 12
