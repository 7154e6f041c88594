"""The files that `decode` refuses, each with one line that names the file and the reason."""

import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile
from support.made_scans import SRGB_ICC, encoded, png_chunk, write_image, write_png, write_tiff

from atlas_resources.plates.decode import ImageRefused, SourceChanged, decode, require_decodable

SMALL = Image.linear_gradient("L").resize((32, 32)).convert("RGB")
ENCODINGS = {
    "baseline.jpg": encoded(SMALL, "JPEG"),
    "progressive.jpg": encoded(SMALL, "JPEG", progressive=True),
    "scan.png": encoded(SMALL, "PNG"),
    "scan.tif": encoded(SMALL, "TIFF"),
    "lzw.tif": encoded(SMALL, "TIFF", compression="tiff_lzw"),
    "scan.webp": encoded(SMALL, "WEBP"),
    "lossless.webp": encoded(SMALL, "WEBP", lossless=True),
}


def reason_of(path: Path, max_pixels: int = 1_000_000) -> str:
    with pytest.raises(ImageRefused) as refused:
        decode(path, max_pixels)
    assert str(refused.value) == f"{path}: {refused.value.reason}"
    assert "\n" not in refused.value.reason
    with pytest.raises(ImageRefused) as without_pixels:
        require_decodable(path, max_pixels)
    assert without_pixels.value.reason == refused.value.reason
    return refused.value.reason


def test_a_missing_file(tmp_path):
    assert reason_of(tmp_path / "nothing.jpg") == "does not exist"


def test_a_folder(tmp_path):
    assert reason_of(tmp_path) == "is not a file"


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    assert reason_of(path) == "is empty (0 bytes). Fix: export the scan again"


def test_a_file_that_is_not_an_image(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("a list of plates")
    accepted = "accepted are JPEG, PNG, TIFF, WebP"
    assert reason_of(path) == f"is not an image that can be read; {accepted}. Fix: export the scan again"


@pytest.mark.parametrize(
    ("kind", "named"),
    [("GIF", "a GIF"), ("BMP", "a BMP"), ("ICO", "an ICO"), ("JPEG2000", "a JPEG2000"), ("AVIF", "an AVIF")],
)
def test_another_format_is_named_whatever_its_suffix(tmp_path, kind, named):
    path = tmp_path / "scan.jpg"
    path.write_bytes(encoded(SMALL, kind))
    assert reason_of(path) == f"is {named}; accepted are JPEG, PNG, TIFF, WebP. Fix: save it as a PNG or TIFF"


def test_a_file_with_a_wrong_suffix_is_decoded(tmp_path):
    path = tmp_path / "scan.tif"
    path.write_bytes(ENCODINGS["scan.png"])
    assert decode(path).facts.format == "PNG"


@pytest.mark.parametrize("name", ENCODINGS)
def test_bytes_cut_anywhere_are_refused(tmp_path, name):
    data = ENCODINGS[name]
    path = tmp_path / name
    for length in [*range(20, len(data) - 24, 37), *range(len(data) - 24, len(data) - 1)]:
        path.write_bytes(data[:length])
        reason = reason_of(path)
        assert "truncated or damaged" in reason or "header cannot be read" in reason, (length, reason)
        assert reason.endswith(". Fix: export the scan again")


def test_a_png_whose_checksum_is_wrong(tmp_path):
    path = write_png(tmp_path / "a.png", (2, 1), 8, 0, [b"\x01\x02"])
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(data)
    assert reason_of(path).startswith("is a truncated or damaged PNG: ")


def test_more_pixels_than_the_limit_before_any_is_decoded(tmp_path):
    path = write_png(tmp_path / "bomb.png", (40_000, 5_500), 1, 0, [])
    assert (
        reason_of(path, 219_999_999) == "has 220,000,000 pixels (40000 x 5500); the limit is 219,999,999. "
        "Fix: save it at a lower resolution, or in parts"
    )
    assert "truncated" in reason_of(path, 220_000_000)


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (b"\0\0\0\x18ftypheic", "a HEIC"),
        (b"\xff\x0a", "a JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL"),
    ],
)
def test_formats_that_nothing_here_reads_are_named_too(tmp_path, start, named):
    (path := tmp_path / "scan.jpg").write_bytes(start + bytes(40))
    assert reason_of(path) == f"is {named}; accepted are JPEG, PNG, TIFF, WebP. Fix: save it as a PNG or TIFF"


@pytest.mark.parametrize(
    ("shape", "dtype", "named"),
    [
        ((2, 2), "float32", "floating-point samples (mode F)"),
        ((2, 2), "int32", "samples of 32 bits or with a sign"),
        ((2, 2, 3), "float32", "floating-point samples (3 of 32 bits per pixel)"),
        ((2, 2, 3), "float16", "floating-point samples (3 of 16 bits per pixel)"),
        ((2, 2, 3), "int16", "samples of 32 bits or with a sign (3 per pixel)"),
        ((2, 2, 3), "uint32", "samples of 32 bits or with a sign (3 per pixel)"),
    ],
)
@pytest.mark.parametrize("is_big", [False, True])
def test_samples_without_a_known_white(tmp_path, shape, dtype, named, is_big):
    path = tmp_path / "deep.tif"
    photometric = "rgb" if len(shape) == 3 else "minisblack"
    tifffile.imwrite(path, np.zeros(shape, dtype), photometric=photometric, bigtiff=is_big)
    reason = reason_of(path)
    assert reason.startswith(f"has {named}")
    assert reason.endswith("Fix: scale them so that black is 0 and white is 65535, and save it as a 16-bit TIFF or PNG")


def test_12_bit_samples(tmp_path):
    path = write_tiff(tmp_path / "a.tif", "<", (2, 1), {258: [12], 262: [1], 277: [1]}, b"\x12\x34\x56")
    assert reason_of(path) == "has 12 bits per sample; accepted are 8 and 16. Fix: save it with 16 bits"


def test_a_tiff_in_cielab_of_another_white(tmp_path):
    d65 = (31270, 100000, 32900, 100000)  # x and y as fractions
    extra = [(318, 5, 2, d65, True), (262, 3, 1, 8, True)]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((2, 2, 3), np.uint8), photometric=8, planarconfig="contig", extratags=extra[:1])
    assert reason_of(path) == "is in CIELAB of white 0.3127, 0.3290; accepted is D50. Fix: save it as RGB"


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_planes_that_pillow_would_misread(tmp_path, compression):
    path, planes = tmp_path / "a.tif", np.ones((3, 2, 2), np.uint16)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", compression=compression)
    assert reason_of(path) == "is a 16-bit TIFF with separate planes. Fix: save it with interleaved samples"


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # as in the application: Pillow only warns of the lost tag
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_cut_before_its_profile(tmp_path, compression):
    """Pillow skips a tag whose value is beyond the file; the scan would be measured with other colours."""
    data = encoded(SMALL, "TIFF", compression=compression, icc_profile=SRGB_ICC)
    start = data.index(SRGB_ICC)
    path = tmp_path / "a.tif"
    path.write_bytes(data[:start] + data[start + len(SRGB_ICC) :] + SRGB_ICC[:-9])
    moved = bytearray(path.read_bytes())
    at = moved.index(struct.pack("<HHII", 34675, 7, len(SRGB_ICC), start))
    moved[at + 8 : at + 12] = struct.pack("<I", len(moved) - len(SRGB_ICC) + 9)
    path.write_bytes(moved)
    assert "is a truncated or damaged TIFF: tag 34675 ends at byte" in reason_of(path)


def test_a_16_bit_png_with_one_transparent_colour(tmp_path):
    extra = png_chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
    path = write_png(tmp_path / "a.png", (1, 1), 16, 2, [struct.pack(">3H", 1, 2, 3)], extra=extra)
    assert reason_of(path) == "is a 16-bit PNG with one transparent colour. Fix: save it with an alpha channel"


def test_a_tiff_of_a_kind_that_pillow_does_not_know(tmp_path):
    path = write_tiff(tmp_path / "a.tif", ">", (1, 1), {258: [16], 262: [0], 277: [1]}, b"\0\1")
    assert reason_of(path) == (
        "has samples of a kind that is not read (1 of 16 bits per pixel, PhotometricInterpretation 0). Fix: save it as"
        " an 8- or 16-bit RGB TIFF or PNG"
    )


def test_a_tiff_of_eight_bands(tmp_path):
    path = tmp_path / "bands.tif"
    tifffile.imwrite(path, np.zeros((2, 2, 8), np.uint8), photometric="minisblack", planarconfig="contig")
    assert reason_of(path) == (
        "has 8 samples per pixel; accepted are gray, RGB, CMYK and Lab. Fix: save the bands for red, green and blue as"
        " an RGB TIFF or PNG"
    )


def test_bytes_that_are_not_the_registered_ones(tmp_path):
    path = write_image(tmp_path / "a.png")
    sha256 = decode(path).facts.source_sha256
    assert decode(path, expected_sha256=sha256).facts.source_sha256 == sha256
    with pytest.raises(SourceChanged, match=f"expected sha256 {'0' * 64}, as registered, found {sha256}. Fix: put the"):
        decode(path, expected_sha256="0" * 64)


def test_nothing_is_decoded_while_pillow_accepts_truncated_images(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(RuntimeError, match="LOAD_TRUNCATED_IMAGES: expected False, found True"):
        decode(write_image(tmp_path / "a.png"))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns about the damaged bytes
@given(name=st.sampled_from(sorted(ENCODINGS)), place=st.floats(0, 1), junk=st.binary(min_size=1, max_size=40))
def test_damaged_bytes_are_decoded_or_refused(tmp_path_factory, name, place, junk):
    data = bytearray(ENCODINGS[name])
    start = int(place * (len(data) - 1))
    data[start : start + len(junk)] = junk
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(data)
    with suppress(ImageRefused):
        assert decode(path, 10_000).image.mode == "RGB"


def test_odd_metadata_prints_no_warning(tmp_path):
    path = tmp_path / "odd.jpg"
    path.write_bytes(encoded(SMALL, "JPEG", exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\0\xff"))
    code = "import sys, pathlib; from atlas_resources.plates.decode import decode; decode(pathlib.Path(sys.argv[1]))"
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")
