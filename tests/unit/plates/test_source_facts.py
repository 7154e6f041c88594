"""The facts of a source apart from its pixels: container, digests, and the coding of a JPEG."""

import hashlib
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from support.made_scans import SRGB_ICC, encoded, write_image

from atlas_resources.plates.decode import decode

NOISE = Image.effect_noise((64, 48), 80).convert("RGB")


@pytest.fixture
def described(tmp_path):
    def describe(data: bytes):
        (tmp_path / "scan").write_bytes(data)
        return decode(tmp_path / "scan").facts

    return describe


def test_digest_and_size_are_of_the_files_bytes(described):
    data = encoded(NOISE, "PNG")
    facts = described(data)
    assert (facts.source_sha256, facts.file_size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))


@pytest.mark.parametrize(
    ("mode", "kind", "found"),
    [("RGB", "JPEG", "RGB"), ("L", "JPEG", "L"), ("P", "PNG", "P"), ("1", "TIFF", "1"), ("CMYK", "TIFF", "CMYK")],
)
def test_mode_is_that_of_the_file(described, mode, kind, found):
    assert described(encoded(NOISE.convert(mode), kind)).mode == found


@pytest.mark.parametrize(
    ("options", "subsampling"),
    [({"subsampling": 0}, "4:4:4"), ({"subsampling": 1}, "4:2:2"), ({"subsampling": 2}, "4:2:0")],
)
def test_chroma_subsampling_of_a_jpeg(described, options, subsampling):
    assert described(encoded(NOISE, "JPEG", **options)).jpeg.subsampling == subsampling


def test_a_gray_jpeg_has_no_chroma(described):
    assert described(encoded(NOISE.convert("L"), "JPEG")).jpeg.subsampling == "gray"


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_progressive_or_not(described, progressive):
    assert described(encoded(NOISE, "JPEG", progressive=progressive)).jpeg.is_progressive is progressive


def test_quantisation_tables_have_a_digest(described):
    luma, chroma = list(range(1, 65)), [7] * 64
    facts = described(encoded(NOISE, "JPEG", qtables=[luma, chroma]))
    assert facts.jpeg.quantisation_sha256 == hashlib.sha256(struct.pack(">128H", *luma, *chroma)).hexdigest()


def test_only_a_jpeg_has_jpeg_facts(described):
    assert described(encoded(NOISE, "PNG")).jpeg is None


def test_several_jpegs_in_one_file_are_a_jpeg(described):
    facts = described(encoded(NOISE, "MPO", save_all=True, append_images=[NOISE]))
    assert (facts.format, facts.colour_policy.page) == ("JPEG", "first_of_several")
    assert facts.jpeg is not None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_one_exif_block_has_one_digest_in_every_container(described, kind):
    exif = Image.Exif()
    exif[0x010F] = "a scanner"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    assert described(encoded(NOISE, kind, exif=exif)).exif_sha256 == hashlib.sha256(block).hexdigest()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_an_icc_profile_has_a_digest_and_a_description(described, kind):
    facts = described(encoded(NOISE, kind, icc_profile=SRGB_ICC))
    assert (facts.icc_sha256, facts.icc_description) == (hashlib.sha256(SRGB_ICC).hexdigest(), "sRGB built-in")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_without_exif_and_icc_there_are_no_digests(described, kind):
    facts = described(encoded(NOISE, kind))
    assert (facts.exif_sha256, facts.icc_sha256, facts.icc_description) == (None, None, None)


def test_several_threads_decode_the_same_as_one(tmp_path):
    paths = [write_image(tmp_path / f"{n}.png", (n, 255 - n, 7), size=(50, 40)) for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        pixels = [decoded.image.getpixel((49, 39)) for decoded in pool.map(decode, paths)]
    assert pixels == [(n, 255 - n, 7) for n in range(24)]
