"""How the samples of a scan become 8-bit sRGB: the policy `srgb8-v2`, and the record of what it did to one source.

No files are read here.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageChops, ImageCms

from atlas_resources.plates.contracts import ColourPolicy

POLICY_NAME = "srgb8-v2"

WHITE = (255, 255, 255)

# Pillow's mode for the data colour space of an ICC header (ICC.1:2022, table 19). No scan uses the others.
MODE_OF_ICC_SPACE = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}

# EXIF 2.32, tag 0x0112: the transpose that brings each orientation upright. 1 is upright; other values are undefined.
# `ImageOps.exif_transpose` is not used: it also rewrites the EXIF block, and so fails on a damaged one.
TRANSPOSE_OF_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow's reader raises on a damaged EXIF block. The policy then records the block as unreadable and leaves the
# pixels as stored.
DAMAGED_EXIF_ERRORS = (SyntaxError, ValueError, TypeError, LookupError, EOFError, OSError, OverflowError, struct.error)

ExifAction = Literal["absent", "identity", "applied", "ignored_unreadable"]
ExtremesOf = Literal["8_bit_srgb", "16_bit_samples"]
IccAction = Literal["absent", "converted", "ignored_unreadable", "ignored_wrong_space"]
DepthAction = Literal["8", "16_to_8_rounded", "1_to_8", "2_to_8", "4_to_8"]

DEPTH_ACTIONS: dict[int, DepthAction] = {1: "1_to_8", 2: "2_to_8", 4: "4_to_8", 8: "8", 16: "16_to_8_rounded"}


@dataclass(frozen=True)
class SampleLayout:
    """Facts of a file's samples that are in its header and are lost when the image is loaded.

    Attributes:
        bits: Bits per sample: 1, 2, 4, 8 or 16. A palette counts as 8, the depth of its colours.
        is_white_zero: Whether 0 is white and Pillow does not invert the samples.
        page: The page that is read, counted from 1.
        has_several_pages: Whether the file has further pages, or frames of an animation. They are not read.
        applied_orientation: EXIF orientation that Pillow applies while loading (TIFF only); else None.
    """

    bits: int
    is_white_zero: bool
    page: int
    has_several_pages: bool
    applied_orientation: int | None


@dataclass(frozen=True)
class Converted:
    """An image after the policy.

    Attributes:
        image: Mode RGB, upright, sRGB. Its `info` is empty, because all of it has been applied.
        policy: What was done.
        icc_description: The embedded profile's own description; None without a readable profile.
    """

    image: Image.Image
    policy: ColourPolicy
    icc_description: str | None


def convert_to_srgb8(image: Image.Image, layout: SampleLayout, extremes: ExtremesOf = "8_bit_srgb") -> Converted:
    """Convert a loaded scan to upright 8-bit sRGB.

    The steps, in this order: samples to 8 bits, those of 16 as round(sample / 257) (see `deep_samples`); the embedded
    ICC profile to sRGB (LittleCMS, relative colorimetric, black point compensation; an sRGB profile is converted too);
    alpha over white; EXIF orientation. Without a usable profile, gray and RGB are taken as sRGB, and CMYK is converted
    as Pillow does, (1 - ink) * (1 - black). CIELAB is taken as of D50, and colours beyond sRGB are clipped. PNG's gAMA,
    cHRM and cICP chunks and the EXIF colour space tag are not read.

    Args:
        image: Loaded, of any mode in `header.READABLE_MODES` with at most 8 bits. It may be changed in place.
        layout: From the header of the same file.
        extremes: What the white, black and clipped pixels are counted in, for the record.
    """
    icc = image.info.get("icc_profile")
    orientation, exif_action = read_orientation(image, layout)
    colour, alpha = split_alpha(image, layout)
    is_cmyk, is_lab = colour.mode == "CMYK", colour.mode == "LAB"
    rgb, icc_action, description = apply_profile(colour, icc)
    if alpha is not None:
        rgb.paste(WHITE, mask=ImageChops.invert(alpha))
    if exif_action == "applied" and layout.applied_orientation is None:
        rgb = rgb.transpose(TRANSPOSE_OF_ORIENTATION[orientation])
    rgb.info = {}
    policy = ColourPolicy(
        name=POLICY_NAME,
        exif_orientation=exif_action,
        icc_profile=icc_action,
        alpha="absent" if alpha is None else "composited_over_white",
        bit_depth=DEPTH_ACTIONS[layout.bits],
        page="only" if not layout.has_several_pages else "first_of_several" if layout.page == 1 else "later_of_several",
        cmyk="not_cmyk" if not is_cmyk else "by_profile" if icc_action == "converted" else "pillow_naive",
        page_number=layout.page,
        extremes=extremes,
        lab="d50_to_srgb" if is_lab else "not_lab",
    )
    return Converted(rgb, policy, description)


def read_orientation(image: Image.Image, layout: SampleLayout) -> tuple[int, ExifAction]:
    """The orientation of a loaded image, from EXIF or else XMP (1 if there is none), and the action for it."""
    if layout.applied_orientation is not None:
        orientation = layout.applied_orientation
    else:
        try:
            orientation = image.getexif().get(0x0112)
        except DAMAGED_EXIF_ERRORS:
            return 1, "ignored_unreadable"
    if orientation is None:
        return 1, "absent"
    return (orientation, "applied") if orientation in TRANSPOSE_OF_ORIENTATION else (1, "identity")


def split_alpha(image: Image.Image, layout: SampleLayout) -> tuple[Image.Image, Image.Image | None]:
    """Split 8-bit samples into colour (mode L, RGB, CMYK or LAB) and alpha (mode L, 255 opaque; or None).

    A level or colour that a PNG declares transparent becomes an alpha of 0 and 255, compared at the file's bit depth.
    """
    if image.mode in ("CMYK", "YCbCr", "LAB"):
        return (image.convert("RGB") if image.mode == "YCbCr" else image), None
    is_gray = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        if image.mode == "L" and layout.bits < 8:
            # Pillow scales the samples to 0..255 but leaves the transparent level at the file's bit depth.
            image.info["transparency"] *= 255 // (2**layout.bits - 1)
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        return (image.getchannel("R") if is_gray else image.convert("RGB")), image.getchannel("A")
    mode = "L" if is_gray else "RGB"
    return (image if image.mode == mode else image.convert(mode)), None


def apply_profile(colour: Image.Image, icc: bytes | None) -> tuple[Image.Image, IccAction, str | None]:
    """Convert to sRGB by the embedded profile; a gray image with an RGB profile becomes RGB first.

    Args:
        colour: 8 bits, mode L, RGB or CMYK; changed in place where its mode is RGB.
        icc: The profile as embedded, or None.

    Returns:
        The image in mode RGB, what was done with the profile, and the profile's description.
    """
    if icc is None:
        return as_rgb(colour), "absent", None
    try:
        profile = ImageCms.core.profile_frombytes(icc)
        description = (profile.profile_description or "").strip() or None
        mode = MODE_OF_ICC_SPACE.get(profile.xcolor_space.strip())
        if mode == "RGB" and colour.mode == "L":
            colour = colour.convert("RGB")
        if mode != colour.mode:
            return as_rgb(colour), "ignored_wrong_space", description
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(profile),
            ImageCms.createProfile("sRGB"),
            colour.mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return as_rgb(colour), "ignored_unreadable", None
    if colour.mode == "RGB":
        transform.apply_in_place(colour)
        return colour, "converted", description
    return transform.apply(colour), "converted", description


def as_rgb(colour: Image.Image) -> Image.Image:
    """The image in mode RGB, converted by Pillow, Lab by LittleCMS; the same image if it is RGB already."""
    if colour.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")  # of D50, as in ICC's connection space
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        exact = ImageCms.Flags.NOOPTIMIZE  # else a table of few points is interpolated: white becomes 254, 255, 254
        return ImageCms.buildTransform(*profiles, "LAB", "RGB", renderingIntent=intent, flags=exact).apply(colour)
    return colour if colour.mode == "RGB" else colour.convert("RGB")
