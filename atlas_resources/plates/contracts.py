"""The JSON files of a plate, one frozen model each: its identity and what the CPU measured on it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from atlas_resources.files.contract import Contract, FileContract, FileDigest, Sha256, is_null

PLATE_ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
MAX_EXTRA_KEYS = 100
MAX_EXTRA_KEY_LENGTH = 200
MAX_EXTRA_TEXT_LENGTH = 20_000
PlateId = Annotated[str, Field(pattern=PLATE_ID_PATTERN)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Rgb = Annotated[list[float], Field(min_length=3, max_length=3)]
Lab = Annotated[list[float], Field(min_length=3, max_length=3)]
SrgbHex = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
Histogram256 = Annotated[list[Count], Field(min_length=256, max_length=256)]


ExtraKey = Annotated[str, Field(min_length=1, max_length=MAX_EXTRA_KEY_LENGTH)]
ExtraText = Annotated[str, Field(max_length=MAX_EXTRA_TEXT_LENGTH)]


class Origin(Contract):
    """Where a scan was downloaded from, by `atlas plates pull`."""

    url: str = Field(description="Address of the scan, as its index or IIIF manifest states it.")
    retrieved_at: datetime = Field(description="UTC time at which its last byte arrived.")
    etag: str | None = Field(description="ETag that the server sent with it.")
    last_modified: str | None = Field(description="Last-Modified that the server sent with it.")
    expected_sha256: Sha256 | None = Field(description="sha256 that the index states; the scan has it.")
    index: str = Field(description="Name of the index file, or address of the IIIF manifest.")
    index_sha256: Sha256 = Field(description="sha256 of that file as it was read.")


class PlateManifest(FileContract):
    """`manifest.json`: the identity of a plate and what its index states, written once at registration.

    A correction of the index data is a further file, `manifests/manifest-<version>-<UTC>.json`, with all fields. Id,
    source, page, where the scan is from and the time of registration are equal in every version.
    """

    plate_id: PlateId
    plate_number: int | None = Field(
        ge=0, description="Number of the plate in its series, from the index or the order of registration."
    )
    title: str
    slug: str
    source_image: str = Field(description="Name of the one image file in source/.")
    registered_from: str = Field(
        description="The scan's path in the staging folder or in the folder that was added, else its file name. Before"
        " registered_path_sha256 was kept: its absolute path."
    )
    download_url: str | None = None
    license: str | None = Field(default=None, description="Licence of the scan as its index states it.")
    created_at: datetime = Field(description="UTC time of registration.")
    extra: dict[ExtraKey, ExtraText | int] = Field(
        default={},
        max_length=MAX_EXTRA_KEYS,
        description="Further columns of the index (artist, year, ...), named and ordered as there. A whole number is an"
        " integer, every other value is text; a column without a value is left out.",
    )
    source_page: int | None = Field(
        default=None, ge=2, description="Page of the source, counted from 1; null for its first or only page."
    )
    manifest_version: int = Field(
        default=1, ge=1, description="1 as registered; a correction of the index data has the next number."
    )
    updated_at: datetime | None = Field(
        default=None, description="UTC time of the correction that made this version; null as registered."
    )
    registered_path_sha256: Sha256 | None = Field(
        default=None, exclude_if=is_null, description="sha256 of the scan's absolute path; if staged, of plates/<path>."
    )
    origin: Origin | None = Field(default=None, exclude_if=is_null, description="Null: not fetched by Atlas.")


class ColourPolicy(Contract):
    """How the source's pixels became 8-bit sRGB. Every action names what was done to this one source."""

    name: str = Field(description="Version of the policy as a whole; part of every fingerprint.")
    exif_orientation: Literal["absent", "identity", "applied", "ignored_unreadable"]
    icc_profile: Literal["absent", "converted", "ignored_unreadable", "ignored_wrong_space"] = Field(
        description="Embedded ICC profile converted to sRGB by LittleCMS; an unusable profile is ignored and recorded."
    )
    alpha: Literal["absent", "composited_over_white"]
    bit_depth: Literal["8", "16_to_8_rounded", "16_to_8_high_byte", "1_to_8", "2_to_8", "4_to_8"] = Field(
        description="How samples became 8 bits. 16_to_8_rounded is round(sample / 257); 16_to_8_high_byte is srgb8-v1."
    )
    page: Literal["only", "first_of_several", "later_of_several"]
    cmyk: Literal["not_cmyk", "by_profile", "pillow_naive"]
    page_number: int | None = Field(
        default=None, gt=0, description="The page that was read, counted from 1. Null in srgb8-v1, which read page 1."
    )
    extremes: Literal["8_bit_srgb", "16_bit_samples"] | None = Field(
        default=None,
        description="What white_ratio, black_ratio and the clipped ratios are of: pixels after this policy, or the"
        " stored samples before the ICC profile. Null in srgb8-v1, which took 8_bit_srgb.",
    )
    lab: Literal["not_lab", "d50_to_srgb"] | None = Field(
        default=None, description="CIELAB of white D50 converted to sRGB. Null in srgb8-v1, which refused CIELAB."
    )


class JpegFacts(Contract):
    """Facts of a JPEG file's coding."""

    is_progressive: bool
    subsampling: str = Field(description='Chroma subsampling: "4:4:4", "4:2:2", "4:2:0", "gray" or "other".')
    quantisation_sha256: Sha256 = Field(
        description="sha256 over the quantisation tables in table order, two bytes per value."
    )


class InputImage(FileContract):
    """`derived/input_image.json`: scalar facts of the source.

    Pixel facts are of 8-bit sRGB pixels after the colour policy, over every pixel. Of a 16-bit scan, the white, black
    and clipped ratios are of its 16-bit samples, where `colour_policy.extremes` says so: there 255 means 65535, and 10
    means 2570.
    """

    plate_id: PlateId
    measure_version: str = Field(description="Version of the measuring code; a new version makes the file stale.")
    filename: str
    file_size_bytes: Count
    format: str = Field(description="Container by content, never by file name: JPEG, PNG, TIFF or WEBP.")
    mode: str = Field(description="Pillow's mode of the source before conversion.")
    source_sha256: Sha256
    width: int = Field(gt=0, description="Pixels, after EXIF orientation.")
    height: int = Field(gt=0, description="Pixels, after EXIF orientation.")
    orientation: Literal["landscape", "portrait", "square"]
    aspect_ratio: float = Field(gt=0, description="width / height")
    megapixels: float = Field(gt=0, description="pixel_count / 1e6")
    pixel_count: int = Field(gt=0)
    mean_rgb: Rgb = Field(description="0..255, sRGB")
    std_rgb: Rgb = Field(description="Population standard deviation, 0..127.5, sRGB")
    min_rgb: Rgb
    max_rgb: Rgb
    luminance_mean: float = Field(
        description="0..255. Luminance here is Rec. 709 luma of gamma-coded sRGB, rounded to 8 bits."
    )
    luminance_std: float = Field(ge=0)
    luminance_entropy: float = Field(
        ge=0, le=8, description="Shannon entropy of the 256-bin luminance histogram, bits."
    )
    luminance_p01: int = Field(
        ge=0, le=255, description="Smallest level at or below which at least 1 % of the pixels lie."
    )
    luminance_p99: int = Field(
        ge=0, le=255, description="Smallest level at or below which at least 99 % of the pixels lie."
    )
    background_ratio: Ratio = Field(description="Share of pixels whose channels are all >= 245.")
    white_ratio: Ratio = Field(description="Share of pixels whose channels are all 255.")
    black_ratio: Ratio = Field(description="Share of pixels whose channels are all <= 10.")
    clipped_low_ratio: Ratio = Field(description="Share of pixels with any channel at 0.")
    clipped_high_ratio: Ratio = Field(description="Share of pixels with any channel at 255.")
    rms_contrast: float = Field(ge=0, description="luminance_std / 255 (Peli 1990).")
    grayscale_like: bool = Field(description="At least 99 % of the pixels have max - min of their channels <= 8.")
    laplacian_variance: float = Field(
        ge=0, description="Variance of the 4-neighbour Laplacian of luminance (0..255), mirrored border."
    )
    edge_density: float = Field(
        ge=0, description="Mean Sobel gradient magnitude of luminance (0..1), as in skimage.filters.sobel."
    )
    ahash: str = Field(pattern=r"^[0-9a-f]{16}$", description="64-bit average hash, hex.")
    dhash: str = Field(pattern=r"^[0-9a-f]{16}$", description="64-bit difference hash, hex.")
    phash: str = Field(pattern=r"^[0-9a-f]{16}$", description="64-bit DCT hash, hex.")
    has_exif: bool
    exif_sha256: Sha256 | None
    has_icc: bool
    icc_sha256: Sha256 | None
    icc_description: str | None
    jpeg: JpegFacts | None
    colour_policy: ColourPolicy
    full_pixel_pass: Literal[True] = Field(description="Every pixel was counted: nothing here is sampled or estimated.")


class PaletteColour(Contract):
    """One colour of a palette."""

    lab: Lab = Field(description="CIE L*a*b*, D65, 2 degree observer.")
    srgb_hex: SrgbHex
    share: Ratio
    spread_delta_e: float | None = Field(
        default=None,
        ge=0,
        description="Largest CIEDE2000 difference to the nearest colour of the palettes that other seeds of k-means"
        " give; 0 where they agree. Null in files of measure version 1.",
    )


class LabHistogram(Contract):
    """A 3-D histogram over CIE L*a*b*; `counts` is flattened in L, a, b order (b fastest)."""

    bins: Annotated[list[int], Field(min_length=3, max_length=3)]
    l_range: tuple[float, float]
    a_range: tuple[float, float]
    b_range: tuple[float, float]
    counts: list[Count]


class PaperSplit(Contract):
    """Paper and print, split by Otsu's threshold on the luminance histogram; pixels above the threshold are paper."""

    threshold: int = Field(ge=0, le=255)
    paper_ratio: Ratio
    paper_lab: Lab | None
    paper_srgb_hex: SrgbHex | None = Field(
        default=None, description="paper_lab as 8-bit sRGB. Null without paper, and in files of measure version 1."
    )
    foreground_ratio: Ratio
    foreground_lab: Lab | None
    foreground_srgb_hex: SrgbHex | None = Field(
        default=None, description="foreground_lab as 8-bit sRGB. Null in files of measure version 1."
    )


class ColorHistograms(FileContract):
    """`derived/input_color_histograms.json`: exact counts over every pixel, 8-bit sRGB after the colour policy."""

    plate_id: PlateId
    measure_version: str
    source_sha256: Sha256
    pixel_count: int = Field(gt=0)
    red: Histogram256
    green: Histogram256
    blue: Histogram256
    luminance: Histogram256
    lab: LabHistogram
    dominant_colours: list[PaletteColour] = Field(
        description="k-means in Lab, weighted by pixels; largest share first."
    )
    paper: PaperSplit


class GroundworkCost(FileContract):
    """`derived/groundwork.json`: when the plate's measured files were made, by which code, and what it took.

    The measured files themselves are the same from run to run; what differs between runs is kept here.
    """

    plate_id: PlateId
    measure_version: str
    source_sha256: Sha256
    measured_at: datetime = Field(description="UTC time at which every pixel had been measured.")
    decode_seconds: float = Field(
        ge=0, description="Reading, decoding and converting the source, wall time; of a shared decode, a share."
    )
    measure_seconds: float = Field(ge=0, description="Measuring every pixel and drawing the thumbnail, wall time.")
    peak_memory_bytes: int = Field(
        gt=0, description="Most memory the measuring process had used by then. It may measure several plates at a time."
    )
    code_git_sha: str | None = Field(description="Commit of the project's code; null outside a git checkout.")
    code_is_dirty: bool | None = Field(description="Whether the code differed from that commit; null without one.")
    outputs: list[FileDigest] | None = Field(
        default=None, description="The other files that were made with it. Null: in files of version 1."
    )


class GroundworkFailure(FileContract):
    """`derived/groundwork_failure.json`: why the present source's groundwork failed, and how often.

    The file is removed when the groundwork succeeds.
    """

    plate_id: PlateId
    measure_version: str
    source_sha256: Sha256
    attempts: int = Field(gt=0)
    error_type: str
    message: str
    failed_at: datetime


class RefusedScan(Contract):
    """A scan, or an index of scans, that was refused at registration."""

    path: str = Field(description="Relative to the dataset's root for a staged scan, else absolute.")
    reason: str
    fix: str | None = Field(description="What to do about it; null where the reason says it.")
    first_refused_at: datetime = Field(description="UTC")
    last_refused_at: datetime = Field(description="UTC")


class RefusedScans(FileContract):
    """`refused_scans.json`: the scans that are refused at present, sorted by path.

    A scan is listed until it is registered or its file is gone.
    """

    refused_scans: list[RefusedScan]
