"""What the ledgers say of the groundwork: scalar facts of each plate, colour counts, and what failed."""

import polars as pl

from atlas_resources.tables.table import PLATE_ID, SOURCE_SHA256, Column, Table

COUNTS = pl.List(pl.Int64)
RGB = pl.List(pl.Float64)
LAB = pl.List(pl.Float64)
DOMINANT_COLOURS = pl.List(
    pl.Struct({"lab": LAB, "srgb_hex": pl.String, "share": pl.Float64, "spread_delta_e": pl.Float64})
)

JPEG = pl.Struct({"is_progressive": pl.Boolean, "subsampling": pl.String, "quantisation_sha256": pl.String})
COLOUR_POLICY = pl.Struct(
    {
        "name": pl.String,
        "exif_orientation": pl.String,
        "icc_profile": pl.String,
        "alpha": pl.String,
        "bit_depth": pl.String,
        "page": pl.String,
        "cmyk": pl.String,
        "page_number": pl.Int64,
        "extremes": pl.String,
        "lab": pl.String,
    }
)

IS_CURRENT = Column(
    "is_current",
    pl.Boolean,
    "Whether the row's measurements are of the present source, by the present version of the measuring code, and the "
    "plate is not withdrawn.",
)
MEASURE_VERSION = Column("measure_version", pl.String, "Version of the measuring code.")
NATIVE = "At the depth of the samples where colour_policy.extremes is 16_bit_samples."
COST_NULL = "Null: measured before this was kept."

FACTS = (
    Column(
        "is_current",
        pl.Boolean,
        "Whether the facts are of the present source, by the present version of the code, and the plate is not "
        "withdrawn. Null without facts.",
    ),
    MEASURE_VERSION,
    Column("measured_source_sha256", pl.String, "sha256 of the source that the facts are of."),
    Column("filename", pl.String, "Name of the source that the facts are of."),
    Column("format", pl.String, "Image format by content, such as JPEG, PNG, TIFF or WEBP."),
    Column("mode", pl.String, "Pillow's mode of the source before conversion."),
    Column("file_size_bytes", pl.Int64, "Size of the source, bytes."),
    Column("width", pl.Int64, "Width of the upright image, pixels."),
    Column("height", pl.Int64, "Height of the upright image, pixels."),
    Column("orientation", pl.String, "landscape, portrait or square."),
    Column("aspect_ratio", pl.Float64, "width / height."),
    Column("megapixels", pl.Float64, "Pixels / 1e6."),
    Column("pixel_count", pl.Int64, "Pixels measured: width * height."),
    Column("full_pixel_pass", pl.Boolean, "Whether every pixel was counted."),
    Column("mean_rgb", RGB, "Mean of R, G, B; 8-bit sRGB, 0..255."),
    Column("std_rgb", RGB, "Population standard deviation of R, G, B; 8-bit sRGB, 0..127.5."),
    Column("min_rgb", RGB, "Smallest R, G, B; 8-bit sRGB, 0..255."),
    Column("max_rgb", RGB, "Largest R, G, B; 8-bit sRGB, 0..255."),
    Column("luminance_mean", pl.Float64, "Mean Rec. 709 luma, 0..255."),
    Column("luminance_std", pl.Float64, "Population standard deviation of Rec. 709 luma, 0..127.5."),
    Column("luminance_entropy", pl.Float64, "Entropy of the luma histogram, bits, 0..8."),
    Column("luminance_p01", pl.Int64, "1st percentile of luma, 0..255."),
    Column("luminance_p99", pl.Int64, "99th percentile of luma, 0..255."),
    Column("background_ratio", pl.Float64, "Share of pixels with all channels >= 245."),
    Column("white_ratio", pl.Float64, f"Share of pixels with all channels at the maximum, 255 or 65535. {NATIVE}"),
    Column("black_ratio", pl.Float64, f"Share of pixels with all channels <= 10, or 2570 of 65535. {NATIVE}"),
    Column("clipped_low_ratio", pl.Float64, f"Share of pixels with any channel at 0. {NATIVE}"),
    Column("clipped_high_ratio", pl.Float64, f"Share of pixels with any channel at the maximum. {NATIVE}"),
    Column("rms_contrast", pl.Float64, "luminance_std / 255."),
    Column("grayscale_like", pl.Boolean, "Whether 99 % of the pixels are nearly neutral."),
    Column("laplacian_variance", pl.Float64, "Variance of the Laplacian of luma (0..255): sharpness."),
    Column("edge_density", pl.Float64, "Mean Sobel magnitude of luma (0..1)."),
    Column("ahash", pl.String, "64-bit average hash, hex."),
    Column("dhash", pl.String, "64-bit difference hash, hex."),
    Column("phash", pl.String, "64-bit DCT hash, hex."),
    Column("has_exif", pl.Boolean, "Whether the source carries EXIF data."),
    Column("exif_sha256", pl.String, "sha256 of the EXIF block; null without one, and for a TIFF."),
    Column("has_icc", pl.Boolean, "Whether the source carries an ICC profile."),
    Column("icc_sha256", pl.String, "sha256 of the ICC profile; null without one."),
    Column("icc_description", pl.String, "The profile's own description; null without a readable one."),
    Column("jpeg", JPEG, "Coding of a JPEG: is it progressive, chroma subsampling, digest of its quantisation tables."),
    Column(
        "colour_policy",
        COLOUR_POLICY,
        "How this source's samples became 8-bit sRGB: name of the policy, and each of its actions.",
    ),
    Column("input_image_sha256", pl.String, "sha256 of the file that the facts come from, derived/input_image.json."),
    Column("groundwork_measured_at", pl.Datetime("us", "UTC"), f"When the facts were measured, UTC. {COST_NULL}"),
    Column("groundwork_decode_seconds", pl.Float64, f"Reading and decoding the source, or its share. {COST_NULL}"),
    Column("groundwork_measure_seconds", pl.Float64, f"Measuring every pixel, seconds. {COST_NULL}"),
    Column(
        "groundwork_peak_memory_bytes",
        pl.Int64,
        f"Most memory the process had used when the facts were written, bytes. {COST_NULL}",
    ),
    Column("groundwork_code_git_sha", pl.String, f"Commit of the code that measured; null outside git. {COST_NULL}"),
    Column("groundwork_code_is_dirty", pl.Boolean, f"Whether the code differed from that commit. {COST_NULL}"),
    Column("groundwork_sha256", pl.String, f"sha256 of derived/groundwork.json, which has the costs. {COST_NULL}"),
)
"""The columns of ledger `plates` that the groundwork fills."""

HISTOGRAMS = Table(
    "histograms",
    "Exact colour counts of each plate over every pixel: 8-bit sRGB, Rec. 709 luma, CIE Lab (D65).",
    (
        PLATE_ID,
        SOURCE_SHA256,
        IS_CURRENT,
        MEASURE_VERSION,
        Column("pixel_count", pl.Int64, "Pixels counted; each histogram sums to it."),
        Column("red", COUNTS, "256 counts of red, sRGB level 0..255."),
        Column("green", COUNTS, "256 counts of green."),
        Column("blue", COUNTS, "256 counts of blue."),
        Column("luminance", COUNTS, "256 counts of Rec. 709 luma."),
        Column("lab", COUNTS, "3-D Lab histogram, flattened in L, a, b order (b fastest)."),
        Column("lab_bins", pl.List(pl.Int32), "Bins along L, a, b."),
        Column("lab_l_range", LAB, "Lower edge of the first bin along L, and upper edge of the last."),
        Column("lab_a_range", LAB, "The same along a."),
        Column("lab_b_range", LAB, "The same along b."),
        Column(
            "dominant_colours",
            DOMINANT_COLOURS,
            "k-means in Lab weighted by pixels, largest share first. spread_delta_e is the CIEDE2000 difference to the "
            "nearest colour that other seeds give: above 2.3 it depends visibly on chance. Null of older versions.",
        ),
        Column("paper_threshold", pl.Int32, "Otsu's threshold on luma; pixels above it are paper."),
        Column("paper_ratio", pl.Float64, "Share of the pixels that are paper."),
        Column("paper_lab", LAB, "Mean Lab of the paper; null without paper."),
        Column("paper_srgb_hex", pl.String, "The same colour as 8-bit sRGB, #rrggbb."),
        Column("foreground_ratio", pl.Float64, "Share of the pixels that are not paper."),
        Column("foreground_lab", LAB, "Mean Lab of the printed pixels."),
        Column("foreground_srgb_hex", pl.String, "The same colour as 8-bit sRGB, #rrggbb."),
        Column(
            "file_sha256",
            pl.String,
            "sha256 of the file that the counts come from, derived/input_color_histograms.json.",
        ),
    ),
    ("plate_id",),
)

GROUNDWORK_FAILURES = Table(
    "groundwork_failures",
    "One row per plate whose last groundwork failed, and per measured file that cannot be read: why, and how often.",
    (
        PLATE_ID,
        SOURCE_SHA256,
        MEASURE_VERSION,
        Column("attempts", pl.Int64, "How often this version failed on this source; null for a broken file."),
        Column("error_type", pl.String, "Type of the error."),
        Column("message", pl.String, "Message of the error."),
        Column("failed_at", pl.Datetime("us", "UTC"), "Last failure, UTC; null for a broken file."),
        Column("is_current", pl.Boolean, "Whether it is a failure of the present version on the present source."),
        Column("file_sha256", pl.String, "sha256 of the file that failed to be read, or of groundwork_failure.json."),
    ),
    ("plate_id", "file_sha256"),
)
