"""The policy srgb8-v2, pixel by pixel. Expected values are computed by hand; comments show how."""

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from support.decoded import (
    BLACK,
    BLUE,
    GRAY,
    GRAY_ALPHA,
    GREEN,
    PALETTE,
    RED,
    RGB,
    RGB_ALPHA,
    WHITE,
    actions,
    decode_image,
    pixels,
)
from support.made_scans import (
    SRGB_ICC,
    SWAPPED_ICC,
    black_only_cmyk_icc,
    linear_gray_icc,
    png_chunk,
    write_png,
    write_tiff,
)

from atlas_resources.measures.colour.extremes import Extremes
from atlas_resources.plates.contracts import ColourPolicy
from atlas_resources.plates.decode import decode


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_8_bit_rgb_is_unchanged_and_no_action_is_recorded(tmp_path, kind):
    image = Image.new("RGB", (2, 1))
    image.putpixel((0, 0), (1, 2, 3))
    image.putpixel((1, 0), (250, 128, 7))
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode_image(tmp_path, image, kind, **options)
    assert (decoded.image.mode, decoded.image.size, decoded.facts.format) == ("RGB", (2, 1), kind)
    assert pixels(decoded) == [(1, 2, 3), (250, 128, 7)]
    assert actions(decoded) == {}


def test_a_converted_image_has_no_info_that_was_applied_already(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode_image(tmp_path, Image.new("RGB", (3, 2)), "PNG", exif=exif, icc_profile=SRGB_ICC)
    assert decoded.image.info == {}
    assert dict(decoded.image.getexif()) == {}


# Where row 0 and column 0 of the stored image belong by EXIF 2.32 (tag 0x0112), computed by hand:
# the upright size, then the places (x, y) of red, blue and green.
UPRIGHT = {
    1: ((3, 2), (0, 0), (2, 0), (0, 1)),
    2: ((3, 2), (2, 0), (0, 0), (2, 1)),
    3: ((3, 2), (2, 1), (0, 1), (2, 0)),
    4: ((3, 2), (0, 1), (2, 1), (0, 0)),
    5: ((2, 3), (0, 0), (0, 2), (1, 0)),
    6: ((2, 3), (1, 0), (1, 2), (0, 0)),
    7: ((2, 3), (1, 2), (1, 0), (0, 2)),
    8: ((2, 3), (0, 2), (0, 0), (1, 2)),
}


class TestOrientation:
    """Stored: red at the left and blue at the right of the top row of 3 x 2, green at the bottom left."""

    @staticmethod
    def stored() -> Image.Image:
        image = Image.new("RGB", (3, 2))
        for place, colour in (((0, 0), RED), ((2, 0), BLUE), ((0, 1), GREEN)):
            image.putpixel(place, colour)
        return image

    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
    @pytest.mark.parametrize("orientation", UPRIGHT)
    def test_each_orientation_is_brought_upright_once(self, tmp_path, kind, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"lossless": True} if kind == "WEBP" else {}
        decoded = decode_image(tmp_path, self.stored(), kind, exif=exif, **options)
        size, red, blue, green = UPRIGHT[orientation]
        assert decoded.image.size == size
        assert [decoded.image.getpixel(place) for place in (red, blue, green)] == [RED, BLUE, GREEN]
        assert actions(decoded) == {"exif_orientation": "identity" if orientation == 1 else "applied"}

    @pytest.mark.parametrize("orientation", range(10))
    def test_it_agrees_with_pillow_on_a_jpeg(self, tmp_path, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        decoded = decode_image(tmp_path, self.stored().resize((48, 32)), "JPEG", exif=exif)
        with Image.open(tmp_path / "scan.jpeg") as reference:
            expected = ImageOps.exif_transpose(reference)
        assert np.array_equal(np.asarray(decoded.image), np.asarray(expected))

    @pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
    def test_an_orientation_that_only_xmp_states_is_applied_and_recorded(self, tmp_path, compression):
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
        decoded = decode_image(tmp_path, self.stored(), "TIFF", compression=compression, tiffinfo={700: xmp})
        assert decoded.image.size == (2, 3)
        assert actions(decoded) == {"exif_orientation": "applied"}


class TestDepth:
    """A 16-bit sample s becomes round(s / 257), since 65535 = 255 * 257. Quotients are by hand."""

    def test_16_bit_gray_png_is_rounded(self, tmp_path):
        # 4660 / 257 = 18.13, 128 / 257 = 0.498, 129 / 257 = 0.502, 65406 / 257 = 254.498, 65407 / 257 = 254.502
        rows = [struct.pack(">6H", 0x1234, 128, 129, 65406, 65407, 0xFFFF)]
        decoded = decode(write_png(tmp_path / "a.png", (6, 1), 16, GRAY, rows))
        assert pixels(decoded) == [(level,) * 3 for level in (18, 0, 1, 254, 255, 255)]
        assert actions(decoded) == {"bit_depth": "16_to_8_rounded", "extremes": "16_bit_samples"}

    def test_16_bit_rgb_png_is_rounded(self, tmp_path):
        # 0x12FF = 4863, / 257 = 18.92; 0x80FF = 33023, / 257 = 128.49; 0xFE80 = 65152, / 257 = 253.51
        decoded = decode(write_png(tmp_path / "a.png", (1, 1), 16, RGB, [struct.pack(">3H", 0x12FF, 0x80FF, 0xFE80)]))
        assert pixels(decoded) == [(19, 128, 254)]
        assert actions(decoded) == {"bit_depth": "16_to_8_rounded", "extremes": "16_bit_samples"}

    @pytest.mark.parametrize("order", "<>")
    def test_16_bit_gray_tiff_is_rounded_in_either_byte_order(self, tmp_path, order):
        samples = struct.pack(f"{order}2H", 0x12FF, 0xFE01)  # 0xFE01 = 65025, / 257 = 253.02
        path = write_tiff(tmp_path / "a.tif", order, (2, 1), {258: [16], 262: [1], 277: [1]}, samples)
        assert pixels(decode(path)) == [(19,) * 3, (253,) * 3]

    def test_16_bit_gray_with_white_as_zero_is_inverted(self, tmp_path):
        path = write_tiff(
            tmp_path / "a.tif", "<", (2, 1), {258: [16], 262: [0], 277: [1]}, struct.pack("<2H", 0x1234, 0xFFFF)
        )
        # 65535 - 0x1234 = 60875, / 257 = 236.87
        decoded = decode(path)
        assert pixels(decoded) == [(237,) * 3, (0,) * 3]
        assert decoded.extremes == Extremes(white_px=0, black_px=1, clipped_low_px=1, clipped_high_px=0)

    @pytest.mark.parametrize("order", "<>")
    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize(
        ("photometric", "extra"),
        [("rgb", []), ("rgb", ["unassalpha"]), ("rgb", ["assocalpha"]), ("rgb", ["unspecified"]), ("separated", [])],
    )
    def test_16_bit_colour_of_a_tiff_is_what_tifffile_wrote(self, tmp_path, order, compression, photometric, extra):
        channels = 4 if extra or photometric == "separated" else 3
        samples = np.random.default_rng(0).integers(0, 65536, (20, 30, channels), np.uint16)
        if extra in (["unassalpha"], ["assocalpha"]):
            samples[..., 3] = 65535  # opaque: compositing changes nothing, and premultiplied colours are the colours
        tifffile.imwrite(
            path := tmp_path / "a.tif",
            samples,
            photometric=photometric,
            planarconfig="contig",
            byteorder=order,
            compression=compression,
            extrasamples=extra,
        )
        expected = np.rint(samples / 257).astype(np.uint8)
        if photometric == "separated":
            expected = np.asarray(Image.frombytes("CMYK", (30, 20), expected.tobytes()).convert("RGB"))
        assert np.array_equal(np.asarray(decode(path).image), expected[..., :3])

    def test_premultiplied_16_bit_alpha_is_divided_out(self, tmp_path):
        # Half covered (32768 of 65535) by 20000 premultiplied: 20000 * 65535 / 32768 = 39999, / 257 = 155.64.
        # Over white: 156 * 128 / 255 + 255 * 127 / 255 = 205.3.
        samples = np.array([[[20000, 20000, 20000, 32768]]], np.uint16)
        tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["assocalpha"])
        assert pixels(decode(tmp_path / "a.tif")) == [(205,) * 3]

    def test_1_bit_becomes_black_and_white(self, tmp_path):
        decoded = decode(write_png(tmp_path / "a.png", (3, 1), 1, GRAY, [b"\xa0"]))
        assert pixels(decoded) == [WHITE, BLACK, WHITE]
        assert actions(decoded) == {"bit_depth": "1_to_8"}

    def test_2_and_4_bit_gray_are_scaled_to_the_whole_range(self, tmp_path):
        two = decode(write_png(tmp_path / "two.png", (4, 1), 2, GRAY, [b"\x1b"]))
        four = decode(write_png(tmp_path / "four.png", (2, 1), 4, GRAY, [b"\x1f"]))
        assert pixels(two) == [(level,) * 3 for level in (0, 85, 170, 255)]
        assert pixels(four) == [(17,) * 3, (255,) * 3]
        assert (actions(two), actions(four)) == ({"bit_depth": "2_to_8"}, {"bit_depth": "4_to_8"})

    def test_a_palette_has_the_depth_of_its_colours(self, tmp_path):
        palette = png_chunk(b"PLTE", bytes((*RED, 1, 2, 3)))
        decoded = decode(write_png(tmp_path / "a.png", (2, 1), 1, PALETTE, [b"\x40"], extra=palette))
        assert pixels(decoded) == [RED, (1, 2, 3)]
        assert actions(decoded) == {}


class TestAlpha:
    """c over white at alpha a is c * a / 255 + 255 * (1 - a / 255): at a = 128, 0 becomes 127 and 255 stays."""

    def test_rgb_is_composited_over_white(self, tmp_path):
        row = bytes((255, 0, 0, 128, 9, 9, 9, 0, 9, 9, 9, 255))
        decoded = decode(write_png(tmp_path / "a.png", (3, 1), 8, RGB_ALPHA, [row]))
        assert pixels(decoded) == [(255, 127, 127), WHITE, (9, 9, 9)]
        assert actions(decoded) == {"alpha": "composited_over_white"}

    def test_gray_is_composited_over_white(self, tmp_path):
        decoded = decode(write_png(tmp_path / "a.png", (2, 1), 8, GRAY_ALPHA, [bytes((0, 128, 7, 255))]))
        assert pixels(decoded) == [(127,) * 3, (7,) * 3]

    @pytest.mark.parametrize(
        ("colour_type", "samples", "expected"),
        [(GRAY_ALPHA, (0, 0x80FF), (127, 127, 127)), (RGB_ALPHA, (0xFFFF, 0, 0, 0x80FF), (255, 127, 127))],
    )
    def test_16_bit_alpha_is_rounded(self, tmp_path, colour_type, samples, expected):
        row = struct.pack(f">{len(samples)}H", *samples)
        decoded = decode(write_png(tmp_path / "a.png", (1, 1), 16, colour_type, [row]))
        assert pixels(decoded) == [expected]
        alpha = {"alpha": "composited_over_white"}
        assert actions(decoded) == alpha | {"bit_depth": "16_to_8_rounded", "extremes": "16_bit_samples"}

    def test_a_palette_may_be_transparent_in_part(self, tmp_path):
        extra = png_chunk(b"PLTE", bytes(RED + RED + BLUE)) + png_chunk(b"tRNS", bytes((0, 128)))
        decoded = decode(write_png(tmp_path / "a.png", (3, 1), 8, PALETTE, [bytes((0, 1, 2))], extra=extra))
        assert pixels(decoded) == [WHITE, (255, 127, 127), BLUE]

    @pytest.mark.parametrize(
        ("depth", "row", "transparent", "expected"),
        [
            (1, b"\x80", 1, [WHITE, BLACK]),
            (2, b"\x60", 1, [WHITE, (170,) * 3]),
            (4, b"\x12", 1, [WHITE, (34,) * 3]),
            (8, b"\x10\x20", 0x10, [WHITE, (32,) * 3]),
            (16, b"\x12\x34\x12\x35", 0x1234, [WHITE, (0x12,) * 3]),
        ],
    )
    def test_one_level_of_gray_may_be_transparent_at_any_depth(self, tmp_path, depth, row, transparent, expected):
        extra = png_chunk(b"tRNS", struct.pack(">H", transparent))
        decoded = decode(write_png(tmp_path / "a.png", (2, 1), depth, GRAY, [row], extra=extra))
        assert pixels(decoded) == expected

    def test_one_colour_may_be_transparent(self, tmp_path):
        extra = png_chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
        decoded = decode(write_png(tmp_path / "a.png", (2, 1), 8, RGB, [bytes((1, 2, 3, 1, 2, 4))], extra=extra))
        assert pixels(decoded) == [WHITE, (1, 2, 4)]


class TestProfile:
    """`SWAPPED_ICC` exchanges red and green, so the result of its conversion is known exactly."""

    def test_rgb_is_converted_by_its_profile(self, tmp_path):
        decoded = decode_image(tmp_path, Image.new("RGB", (1, 1), RED), "PNG", icc_profile=SWAPPED_ICC)
        assert pixels(decoded) == [GREEN]
        assert actions(decoded) == {"icc_profile": "converted"}
        assert decoded.facts.icc_description == "sRGB built-in"

    def test_an_srgb_profile_is_converted_and_changes_nothing(self, tmp_path):
        ramp = Image.fromarray(np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3))
        decoded = decode_image(tmp_path, ramp, "PNG", icc_profile=SRGB_ICC)
        assert np.array_equal(np.asarray(decoded.image), np.asarray(ramp))
        assert actions(decoded) == {"icc_profile": "converted"}

    def test_gray_with_an_rgb_profile_becomes_rgb_first(self, tmp_path):
        decoded = decode_image(tmp_path, Image.new("L", (1, 1), 255), "TIFF", icc_profile=SWAPPED_ICC)
        assert pixels(decoded) == [WHITE]
        assert actions(decoded) == {"icc_profile": "converted"}

    def test_gray_is_converted_by_a_gray_profile(self, tmp_path):
        decoded = decode_image(tmp_path, Image.new("L", (1, 1), 128), "PNG", icc_profile=linear_gray_icc())
        # IEC 61966-2-1: 1.055 * (128 / 255) ** (1 / 2.4) - 0.055 = 0.7366, times 255 is 187.8
        assert pixels(decoded) == [(188, 188, 188)]
        assert actions(decoded) == {"icc_profile": "converted"}

    def test_alpha_is_applied_after_the_colours_are_converted(self, tmp_path):
        image = Image.new("RGBA", (1, 1), (255, 0, 0, 128))
        decoded = decode_image(tmp_path, image, "PNG", icc_profile=SWAPPED_ICC)
        assert pixels(decoded) == [(127, 255, 127)]
        assert actions(decoded) == {"icc_profile": "converted", "alpha": "composited_over_white"}

    def test_a_palette_is_converted_by_its_profile(self, tmp_path):
        image = Image.new("RGB", (1, 1), RED).quantize(2)
        assert pixels(decode_image(tmp_path, image, "PNG", icc_profile=SWAPPED_ICC)) == [GREEN]

    @pytest.mark.parametrize(
        ("profile", "action"),
        [(linear_gray_icc(), "ignored_wrong_space"), (b"no profile", "ignored_unreadable")],
    )
    def test_an_unusable_profile_is_ignored_and_recorded(self, tmp_path, profile, action):
        decoded = decode_image(tmp_path, Image.new("RGB", (1, 1), (9, 8, 7)), "PNG", icc_profile=profile)
        assert pixels(decoded) == [(9, 8, 7)]
        assert actions(decoded) == {"icc_profile": action}
        assert decoded.facts.icc_sha256 is not None


class TestCmyk:
    def test_without_a_profile_it_is_converted_as_pillow_does(self, tmp_path):
        image = Image.new("CMYK", (3, 1))
        for x, inks in enumerate(((255, 0, 0, 0), (0, 0, 0, 255), (0, 255, 0, 51))):
            image.putpixel((x, 0), inks)
        decoded = decode_image(tmp_path, image, "TIFF")
        # (1 - ink) * (1 - black): the last has 80 % of the light left, 204 of 255
        assert pixels(decoded) == [(0, 255, 255), BLACK, (204, 0, 204)]
        assert actions(decoded) == {"cmyk": "pillow_naive"}

    def test_with_a_profile_it_is_converted_by_it(self, tmp_path):
        image = Image.new("CMYK", (2, 1))
        image.putpixel((0, 0), (255, 255, 0, 0))
        image.putpixel((1, 0), (0, 0, 0, 255))
        decoded = decode_image(tmp_path, image, "TIFF", icc_profile=black_only_cmyk_icc())
        assert pixels(decoded) == [WHITE, BLACK]
        assert actions(decoded) == {"icc_profile": "converted", "cmyk": "by_profile"}

    def test_a_jpeg_in_cmyk_is_not_inverted(self, tmp_path):
        decoded = decode_image(tmp_path, Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG")
        assert pixels(decoded)[0] == WHITE
        assert (decoded.facts.mode, decoded.facts.format) == ("CMYK", "JPEG")


def srgb_of_d50_lab(lab: np.ndarray) -> np.ndarray:
    """8-bit sRGB of CIE L*a*b* [N, 3] of white D50, by the published formulas, unlike LittleCMS.

    CIE 15:2004 for Lab to XYZ; the Bradford matrix and sRGB's (IEC 61966-2-1) as B. Lindbloom's site gives them for
    D50 to D65 and D65 to linear sRGB.
    """
    f = np.stack(
        [(lab[:, 0] + 16) / 116 + lab[:, 1] / 500, (lab[:, 0] + 16) / 116, (lab[:, 0] + 16) / 116 - lab[:, 2] / 200]
    )
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * np.array([[0.96422], [1.0], [0.82521]])
    bradford = [
        [0.9555766, -0.0230393, 0.0631636],
        [-0.0282895, 1.0099416, 0.0210077],
        [0.0122982, -0.0204830, 1.3299098],
    ]
    to_rgb = [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
    linear = np.clip(np.array(to_rgb) @ np.array(bradford) @ xyz, 0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(coded.T * 255).astype(int)


class TestLab:
    """TIFF 6.0, section 23: L* is 0..255 for 0..100, a* and b* are signed bytes."""

    @pytest.mark.parametrize("order", "<>")
    def test_cielab_is_converted_from_d50(self, tmp_path, order):
        random = np.random.default_rng(0)
        stored = np.column_stack([random.integers(20, 250, 64), *random.integers(-25, 26, (2, 64))])
        samples = stored.astype(np.int8).tobytes()
        path = write_tiff(tmp_path / "a.tif", order, (8, 8), {258: [8] * 3, 262: [8], 277: [3]}, samples)
        decoded = decode(path)
        expected = srgb_of_d50_lab(stored * [100 / 255, 1, 1])
        assert np.abs(np.asarray(decoded.image).reshape(-1, 3) - expected).max() <= 1
        assert actions(decoded) == {"lab": "d50_to_srgb"}

    def test_white_and_black_are_those_of_srgb(self, tmp_path):
        path = write_tiff(tmp_path / "a.tif", "<", (2, 1), {258: [8] * 3, 262: [8], 277: [3]}, b"\xff\0\0\0\0\0")
        assert pixels(decode(path)) == [WHITE, BLACK]


def test_the_policy_names_itself(tmp_path):
    decoded = decode_image(tmp_path, Image.new("RGB", (1, 1)), "PNG")
    assert decoded.facts.colour_policy == ColourPolicy(
        name="srgb8-v2",
        exif_orientation="absent",
        icc_profile="absent",
        alpha="absent",
        bit_depth="8",
        page="only",
        cmyk="not_cmyk",
        page_number=1,
        extremes="8_bit_srgb",
        lab="not_lab",
    )
