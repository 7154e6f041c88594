"""The columns of every table: type, unit and meaning, once.

Plate files, ledgers, the UI and the catalogue's comments follow it.
"""

from dataclasses import dataclass

import polars as pl

from atlas_resources.contracts import InstrumentIdentity


@dataclass(frozen=True)
class Column:
    """A column: its name, type, and what it means, with unit."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    meaning: str


@dataclass(frozen=True)
class Table:
    """A ledger table. Rows are ordered by `order_by`, so that a rebuild gives the same file content.

    `plate_file` is the name of a plate's own rows in a sealed run; only what instruments measure has one.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    order_by: tuple[str, ...]
    plate_file: str = ""

    @property
    def schema(self) -> pl.Schema:
        """Name and type of each column, in order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    def conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with exactly this table's columns and types, in its order.

        Raises polars' error for what does not fit.
        """
        return rows.select(self.schema.names()).cast(self.schema).sort(self.order_by, nulls_last=True)


COUNTS = pl.List(pl.Int64)
COLOURS = pl.List(pl.Struct({"lab": pl.List(pl.Float64), "srgb_hex": pl.String, "share": pl.Float64}))

IDENTITY = (
    Column("run_id", pl.String, "Sealed run the row comes from."),
    Column("plate_id", pl.String, "Plate that was measured."),
    Column("instrument", pl.String, "Key of the instrument (model_specs/<key>.yaml)."),
    Column("model_id", pl.String, "Model or algorithm."),
    Column("model_sha", pl.String, "Pinned revision, or library==version."),
    Column("weights_sha256", pl.String, "sha256 of the weights; null for an algorithm without weights."),
    Column("preprocess_tag", pl.String, "Short name of the declared preprocessing."),
    Column("fingerprint", pl.String, "sha256 over everything in the instrument that can change a result."),
    Column("source_sha256", pl.String, "sha256 of the source image's bytes."),
    Column("licence", pl.String, "SPDX id of the instrument's licence, or unknown."),
    Column("commercial_use", pl.String, "yes, no or unknown: whether the licence allows commercial use of the rows."),
)
IS_CURRENT = Column(
    "is_current",
    pl.Boolean,
    "Newest complete run of the plate with the instrument's present fingerprint and the present source.",
)

EMBEDDING = (
    Column("scope", pl.String, "What was embedded: plate, segment or tile."),
    Column("segment_id", pl.String, "Segment that was embedded; null unless the scope is segment."),
    Column(
        "tile_id", pl.String, "Tile that was embedded, as 4x4-r1c2: grid, row, column; null unless the scope is tile."
    ),
    Column("x_min", pl.Int32, "Left edge of what was embedded, source pixels, inclusive; null for a whole plate."),
    Column("y_min", pl.Int32, "Top edge of what was embedded, source pixels, inclusive; null for a whole plate."),
    Column("x_max", pl.Int32, "Right edge of what was embedded, source pixels, exclusive; null for a whole plate."),
    Column("y_max", pl.Int32, "Bottom edge of what was embedded, source pixels, exclusive; null for a whole plate."),
    Column(
        "crop_policy",
        pl.String,
        "How a segment was cut out: shape, padding, surroundings; null unless it is a segment.",
    ),
    Column("vector_dim", pl.Int32, "Length of the vector."),
    Column("vector", pl.List(pl.Float32), "Raw vector as the model gave it, not normalised."),
    Column("l2_norm", pl.Float64, "Euclidean length of the vector."),
)
SEGMENT = (
    Column("segment_id", pl.String, "mask-0001 ...: by area descending, then position."),
    Column("class_id", pl.Int32, "Id of the class in the model's vocabulary; null where masks or classes have none."),
    Column("class_name", pl.String, "Class of the mask; null for class-agnostic masks."),
    Column("mask_rle", pl.String, "COCO run-length encoding at source size (pycocotools counts, column-major)."),
    Column("mask_sha256", pl.String, "sha256 of `<height>x<width>:<mask_rle>`."),
    Column("height_px", pl.Int32, "Height of the mask, equal to the source's, pixels."),
    Column("width_px", pl.Int32, "Width of the mask, equal to the source's, pixels."),
    Column("x_min", pl.Int32, "Left edge of the bounding box, source pixels, inclusive."),
    Column("y_min", pl.Int32, "Top edge of the bounding box, source pixels, inclusive."),
    Column("x_max", pl.Int32, "Right edge of the bounding box, source pixels, exclusive."),
    Column("y_max", pl.Int32, "Bottom edge of the bounding box, source pixels, exclusive."),
    Column("area_px", pl.Int64, "Pixels in the mask."),
    Column("area_ratio", pl.Float64, "area_px over the source's pixels, 0..1."),
    Column("centroid_x", pl.Float64, "Mean x of the mask's pixel centres over the width, 0..1."),
    Column("centroid_y", pl.Float64, "Mean y of the mask's pixel centres over the height, 0..1."),
    Column("predicted_iou", pl.Float64, "The model's own estimate of the mask's quality, 0..1; null if it gives none."),
    Column("stability_score", pl.Float64, "Stability under a shifted threshold, 0..1; null if the model gives none."),
    Column("fragmentation_score", pl.Float64, "1 - largest connected component's share of the area, 0..1."),
    Column("component_count", pl.Int32, "Connected components (8-connectivity)."),
    Column("hole_count", pl.Int32, "Holes in the mask (4-connectivity of what is outside)."),
    Column("solidity", pl.Float64, "area_px over the area of the convex hull of the mask's pixel squares, 0..1."),
    Column("touches_border", pl.Boolean, "Whether the mask reaches the image's edge."),
    Column("palette", COLOURS, "Dominant colours inside the mask on the working raster: Lab (D65), sRGB hex, share."),
)
PROMPT = (
    Column("prompt_set", pl.String, "Prompt set it was asked with (model_specs/prompts/); null without prompts."),
    Column("prompt_version", pl.Int32, "Version of the prompt set; null without prompts."),
    Column("prompt_id", pl.String, "Id of the prompt in its set; null without prompts."),
    Column("prompt_sha256", pl.String, "sha256 of the prompt's text, UTF-8; null without prompts."),
)
DETECTION = (
    Column("detection_id", pl.String, "box-0001 ...: by score descending, then position."),
    Column(
        "label",
        pl.String,
        "What the detector calls it, a weak signal: it knows photographs, and names the nearest class it has. For "
        "words of a prompt, the tokens above the text threshold, empty if none is.",
    ),
    Column("label_id", pl.String, "Id of the label in the model's vocabulary; null for words of a prompt."),
    Column(
        "score",
        pl.Float32,
        "The model's own score, 0..1, above the instrument's threshold. A weak signal, calibrated to nothing; not to "
        "be compared between instruments.",
    ),
    Column("x_min", pl.Float64, "Left edge, source pixels. A box may reach a little beyond the plate."),
    Column("y_min", pl.Float64, "Top edge, source pixels."),
    Column("x_max", pl.Float64, "Right edge, source pixels."),
    Column("y_max", pl.Float64, "Bottom edge, source pixels."),
    Column("x_min_ratio", pl.Float64, "Left edge over the source's width, 0..1."),
    Column("y_min_ratio", pl.Float64, "Top edge over the source's height, 0..1."),
    Column("x_max_ratio", pl.Float64, "Right edge over the source's width, 0..1."),
    Column("y_max_ratio", pl.Float64, "Bottom edge over the source's height, 0..1."),
    *PROMPT,
)
PROBE = (
    Column("label_index", pl.Int32, "Index of the label in the model's output."),
    Column("label_id", pl.String, "Id of the label in its vocabulary (a WordNet synset for ImageNet)."),
    Column("label", pl.String, "Name of the label."),
    Column("logit", pl.Float32, "Raw output before the activation; with prompts, the cosine as the model scales it."),
    Column(
        "score",
        pl.Float32,
        "What `activation` makes of the logit: a probability 0..1, or a rating on the model's own scale.",
    ),
    Column(
        "activation",
        pl.String,
        "softmax over all labels (also where null), softmax_per_prompt_set, sigmoid of each alone, or identity.",
    ),
    Column("cosine", pl.Float32, "Cosine of image and prompt, -1..1; null without prompts."),
    Column("calibration", pl.String, "What the score is calibrated to, or uncalibrated."),
    Column("failure_modes", pl.String, "Known ways to be wrong, from the spec."),
    *PROMPT,
)

BOX = tuple(column for column in SEGMENT if column.name in ("x_min", "y_min", "x_max", "y_max"))
KEPT_SEGMENT = (
    Column("segment_id", pl.String, "Segment of the raw set, in `segments` under the instrument that is read."),
    Column("segmenter", pl.String, "Instrument whose raw set it is."),
    Column("rank", pl.Int32, "Place among the kept, from 1; null for a segment that was dropped."),
    Column("reason", pl.String, "Rule that dropped it, with the number that broke it; null for one that was kept."),
    Column("duplicate_of", pl.String, "Kept segment that it overlaps too much; null unless that dropped it."),
    Column("paper_ratio", pl.Float64, "Share of its pixels as light as the plate's paper; null unless a rule asks."),
    Column("area_px", pl.Int64, "Pixels in the mask."),
    Column("area_ratio", pl.Float64, "area_px over the source's pixels, 0..1."),
    *BOX,
    Column("height_px", pl.Int32, "Height of the mask, equal to the source's, pixels."),
    Column("width_px", pl.Int32, "Width of the mask, equal to the source's, pixels."),
    Column("mask_sha256", pl.String, "sha256 of `<height>x<width>:<mask_rle>` of the raw set's mask."),
    Column("mask_rle", pl.String, "The raw set's mask, COCO run lengths; null for a segment that was dropped."),
)
REGION_COLOURS = (
    Column("segment_id", pl.String, "Segment, in `segments` under the segmenter."),
    Column("segmenter", pl.String, "Instrument whose segment it is."),
    Column("mask_sha256", pl.String, "sha256 of the mask whose pixels were measured, and no others."),
    Column("area_px", pl.Int64, "Pixels that were measured."),
    Column("luminance_mean", pl.Float64, "Mean Rec. 709 luma, 0..255."),
    Column("luminance_std", pl.Float64, "Population standard deviation of luma."),
    Column("luminance_p01", pl.Int32, "1st percentile of luma, 0..255."),
    Column("luminance_p99", pl.Int32, "99th percentile of luma, 0..255."),
    Column("lab_mean", pl.List(pl.Float64), "Mean CIE L*a*b* (D65)."),
    Column("chroma_mean", pl.Float64, "Mean distance from grey in Lab, sqrt(a^2 + b^2)."),
    Column("paper_ratio", pl.Float64, "Share of the pixels as light as the plate's paper, by Otsu's threshold."),
    Column(
        "paper_difference", pl.Float64, "CIEDE2000 between lab_mean and the plate's mean paper; null without paper."
    ),
    Column("palette", COLOURS, "Dominant colours at source size: Lab (D65), sRGB hex, share."),
    Column("interior_px", pl.Int64, "Pixels whose eight neighbours lie in the mask too; texture is of these."),
    Column("edge_density", pl.Float64, "Mean Sobel magnitude of luma (0..1); null without interior."),
    Column("laplacian_variance", pl.Float64, "Variance of the Laplacian of luma; null without interior."),
)
REGION_OUTLINE = (
    Column("segment_id", pl.String, "Segment, in `segments` under the segmenter."),
    Column("segmenter", pl.String, "Instrument whose segment it is."),
    Column("mask_sha256", pl.String, "sha256 of the mask that was traced."),
    Column(
        "multipolygon",
        pl.String,
        "GeoJSON geometry in source pixels: x right, y down, pixel (0, 0) covering 0..1; exteriors counterclockwise "
        "by the numbers.",
    ),
    Column("tolerance_px", pl.Float64, "Declared tolerance of the simplification, source pixels."),
    Column("polygon_count", pl.Int32, "Pieces."),
    Column("hole_count", pl.Int32, "Holes."),
    Column("vertex_count", pl.Int32, "Corners of all rings."),
    Column("polygon_area_px", pl.Float64, "Area of the polygons, square pixels."),
    Column("area_error_ratio", pl.Float64, "polygon_area_px over the mask's pixels, less 1."),
    Column("reprojected_iou", pl.Float64, "Intersection over union of the mask with the filled polygons, 0..1."),
    Column("left_out_px", pl.Float64, "Area of rings that were too small to be drawn."),
)

INSTRUMENT_TABLES = {  # by role: a role is known everywhere by being here, and in `instruments.ROLES`
    "embedding": Table(
        "embeddings",
        "Vectors of plates, their tiles and segments, raw; the views embeddings_<instrument> give fixed-size arrays.",
        (*IDENTITY, *EMBEDDING, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "scope", "segment_id", "tile_id"),
        "embeddings.parquet",
    ),
    "segmentation": Table(
        "segments",
        "Masks of plates at source size, with what is measured of their shape and colour.",
        (*IDENTITY, *SEGMENT, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "segment_id"),
        "segments.parquet",
    ),
    "probe": Table(
        "probes",
        "Scores of plates, every label, not only the winner. Weak signals: read calibration and failure_modes.",
        (*IDENTITY, *PROBE, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "label_index"),
        "probe_scores.parquet",
    ),
    "detection": Table(
        "detections",
        "Labelled boxes on plates, above the instrument's threshold. Weak signals on engravings: read label and score.",
        (*IDENTITY, *DETECTION, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "detection_id"),
        "detections.parquet",
    ),
    "pruning": Table(
        "kept_segments",
        "Verdict on every segment of a raw set: kept, with its rank and mask, or dropped, with the rule that did it.",
        (*IDENTITY, *KEPT_SEGMENT, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "segment_id"),
        "kept_segments.parquet",
    ),
    "palette": Table(
        "region_colours",
        "Luminance, colours and texture of kept segments, from the source's pixels inside the mask and no others.",
        (*IDENTITY, *REGION_COLOURS, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "segment_id"),
        "region_colours.parquet",
    ),
    "outline": Table(
        "region_outlines",
        "Kept segments as polygons of a stated tolerance, and how far these are from the masks.",
        (*IDENTITY, *REGION_OUTLINE, IS_CURRENT),
        ("instrument", "plate_id", "run_id", "segment_id"),
        "region_outlines.parquet",
    ),
}
FILE_OF_ROLE = {role: table.plate_file for role, table in INSTRUMENT_TABLES.items()}

PLATES = Table(
    "plates",
    "Every registered plate: identity, and the scalar facts of its source (null until the groundwork is done).",
    (
        Column("plate_id", pl.String, "The plate's id; it never changes."),
        Column("plate_number", pl.Int64, "Number in the series."),
        Column("title", pl.String, "Title."),
        Column("slug", pl.String, "Title as a slug."),
        Column("source_image", pl.String, "Name of the source image."),
        Column("source_sha256", pl.String, "sha256 of the source image's bytes."),
        Column("download_url", pl.String, "Where the scan came from, if its index says."),
        Column("license", pl.String, "Licence of the scan as its index states it."),
        Column("created_at", pl.Datetime("us", "UTC"), "Time of registration, UTC."),
        Column("format", pl.String, "Container by content: JPEG, PNG, TIFF or WEBP."),
        Column("mode", pl.String, "Pillow's mode of the source before conversion."),
        Column("file_size_bytes", pl.Int64, "Size of the source, bytes."),
        Column("width", pl.Int64, "Width, pixels, upright."),
        Column("height", pl.Int64, "Height, pixels, upright."),
        Column("orientation", pl.String, "landscape, portrait or square."),
        Column("aspect_ratio", pl.Float64, "width / height."),
        Column("megapixels", pl.Float64, "Pixels / 1e6."),
        Column("mean_rgb", pl.List(pl.Float64), "Mean of R, G, B; 8-bit sRGB, 0..255."),
        Column("std_rgb", pl.List(pl.Float64), "Population standard deviation of R, G, B; 8-bit sRGB."),
        Column("luminance_mean", pl.Float64, "Mean Rec. 709 luma, 0..255."),
        Column("luminance_std", pl.Float64, "Population standard deviation of Rec. 709 luma."),
        Column("luminance_entropy", pl.Float64, "Entropy of the luma histogram, bits."),
        Column("luminance_p01", pl.Int64, "1st percentile of luma, 0..255."),
        Column("luminance_p99", pl.Int64, "99th percentile of luma, 0..255."),
        Column("background_ratio", pl.Float64, "Share of pixels with all channels >= 245."),
        Column("white_ratio", pl.Float64, "Share of pixels with all channels 255."),
        Column("black_ratio", pl.Float64, "Share of pixels with all channels <= 10."),
        Column("clipped_low_ratio", pl.Float64, "Share of pixels with any channel at 0."),
        Column("clipped_high_ratio", pl.Float64, "Share of pixels with any channel at 255."),
        Column("rms_contrast", pl.Float64, "luminance_std / 255."),
        Column("grayscale_like", pl.Boolean, "Whether 99 % of the pixels are nearly neutral."),
        Column("laplacian_variance", pl.Float64, "Variance of the Laplacian of luma: sharpness."),
        Column("edge_density", pl.Float64, "Mean Sobel magnitude of luma (0..1)."),
        Column("ahash", pl.String, "64-bit average hash, hex."),
        Column("dhash", pl.String, "64-bit difference hash, hex."),
        Column("phash", pl.String, "64-bit DCT hash, hex."),
        Column("has_icc", pl.Boolean, "Whether the source carries an ICC profile."),
        Column("has_exif", pl.Boolean, "Whether the source carries EXIF data."),
        Column("colour_policy", pl.String, "Name of the decode and colour-conversion policy."),
        Column("input_image_sha256", pl.String, "sha256 of the file the facts come from, derived/input_image.json."),
    ),
    ("plate_id",),
)
HISTOGRAMS = Table(
    "histograms",
    "Exact colour counts of each plate over every pixel: 8-bit sRGB, Rec. 709 luma, CIE Lab (D65).",
    (
        Column("plate_id", pl.String, "Plate."),
        Column("source_sha256", pl.String, "sha256 of the source image's bytes."),
        Column("measure_version", pl.String, "Version of the measuring code."),
        Column("pixel_count", pl.Int64, "Pixels counted; each histogram sums to it."),
        Column("red", COUNTS, "256 counts of red, sRGB level 0..255."),
        Column("green", COUNTS, "256 counts of green."),
        Column("blue", COUNTS, "256 counts of blue."),
        Column("luminance", COUNTS, "256 counts of Rec. 709 luma."),
        Column("lab", COUNTS, "3-D Lab histogram, flattened in L, a, b order (b fastest)."),
        Column("lab_bins", pl.List(pl.Int32), "Bins along L, a, b."),
        Column("dominant_colours", COLOURS, "k-means in Lab weighted by pixels, largest share first."),
        Column("paper_threshold", pl.Int32, "Otsu's threshold on luma; above it is paper."),
        Column("paper_ratio", pl.Float64, "Share of the pixels that are paper."),
        Column("paper_lab", pl.List(pl.Float64), "Mean Lab of the paper."),
        Column("foreground_lab", pl.List(pl.Float64), "Mean Lab of what is printed."),
        Column("file_sha256", pl.String, "sha256 of the counts' file, derived/input_color_histograms.json."),
    ),
    ("plate_id",),
)
RUNS = Table(
    "runs",
    "One row per sealed run folder: an instrument's attempt at a plate, complete or failed.",
    (
        *IDENTITY,
        Column("role", pl.String, "Role of the instrument."),
        Column("status", pl.String, "complete or failed."),
        Column("error_type", pl.String, "Type of the error of a failed plate."),
        Column("error_message", pl.String, "Message of the error of a failed plate."),
        Column("error_stage", pl.String, "decode, compute or seal."),
        Column("started_at", pl.Datetime("us", "UTC"), "When the run started, UTC."),
        Column("sealed_at", pl.Datetime("us", "UTC"), "When the plate was sealed, UTC."),
        Column("device", pl.String, "Device that computed."),
        Column("dtype", pl.String, "Numeric type of the computation."),
        Column("packages", pl.String, "Versions of the libraries that touch the numbers, JSON."),
        Column("code_git_sha", pl.String, "Commit of the project."),
        Column("code_is_dirty", pl.Boolean, "Whether the tree differed from the commit."),
        Column("dagster_run_id", pl.String, "Dagster run that made it."),
        IS_CURRENT,
    ),
    ("instrument", "plate_id", "run_id"),
)
MODELS = Table(
    "models",
    "Every instrument of model_specs/, admitted, idea or refused, and every spec that could not be read.",
    (
        Column("instrument", pl.String, "Key."),
        Column("role", pl.String, "embedding, segmentation, detection, probe, text or generative."),
        Column("status", pl.String, "admitted, idea, refused or broken."),
        Column("missing", pl.List(pl.String), "What keeps it from running, or what is wrong in its file."),
        Column("title", pl.String, "Title."),
        Column("model_id", pl.String, "Model or algorithm."),
        Column("model_sha", pl.String, "Pinned revision, or library==version."),
        Column("weights_sha256", pl.String, "sha256 of the weights."),
        Column("licence", pl.String, "SPDX id, or unknown; with that of the instrument it reads."),
        Column("commercial_use", pl.String, "yes, no or unknown: the narrower of its own and that of what it reads."),
        Column("output_kind", pl.String, "vector, scores, masks, boxes, text or image."),
        Column("vector_dim", pl.Int32, "Length of the vector of an embedding."),
        Column("preprocess_tag", pl.String, "Short name of the preprocessing."),
        Column("preprocessing", pl.String, "The declared preprocessing, JSON."),
        Column("parameters", pl.String, "The declared parameters, JSON."),
        Column("device", pl.String, "Declared device."),
        Column("dtype", pl.String, "Declared numeric type."),
        Column("loader", pl.String, "Loader family and version."),
        Column("upstream", pl.String, "Instrument whose sealed results it reads; null for one that reads pixels."),
        Column("fingerprint", pl.String, "Present fingerprint; null unless admitted."),
        Column("failure_modes", pl.List(pl.String), "Known ways to be wrong."),
        Column("sources", pl.List(pl.String), "Where the facts come from."),
    ),
    ("instrument",),
)
LINEAGE = Table(
    "lineage",
    "One row per sealed output file: what it was made from. Paths are relative to the plate's folder.",
    (
        Column("plate_id", pl.String, "Plate."),
        Column("run_id", pl.String, "Sealed run."),
        Column("instrument", pl.String, "Key of the instrument."),
        Column("output_path", pl.String, "Output file."),
        Column("output_sha256", pl.String, "sha256 of the output file."),
        Column("input_path", pl.String, "Input file."),
        Column("input_sha256", pl.String, "sha256 of the input file."),
        Column("weights_sha256", pl.String, "sha256 of the weights."),
        Column("fingerprint", pl.String, "Fingerprint of the instrument."),
        Column("code_git_sha", pl.String, "Commit of the project."),
        Column("dagster_run_id", pl.String, "Dagster run."),
    ),
    ("plate_id", "run_id", "output_path", "input_path"),
)
LEDGERS: dict[str, Table] = {
    table.name: table for table in (PLATES, HISTOGRAMS, RUNS, *INSTRUMENT_TABLES.values(), MODELS, LINEAGE)
}


def plate_file_schema(role: str) -> pl.Schema:
    """Columns of the Parquet file in a sealed run: the ledger's, less what only the ledger can know."""
    schema = INSTRUMENT_TABLES[role].schema
    return pl.Schema({name: dtype for name, dtype in schema.items() if name != IS_CURRENT.name})


def identify_rows(
    rows: pl.DataFrame, identity: InstrumentIdentity, run_id: str, plate_id: str, source_sha256: str
) -> pl.DataFrame:
    """A plate's measured rows with the identity columns every instrument's rows carry, in the plate file's schema."""
    columns = {
        "run_id": run_id,
        "plate_id": plate_id,
        "instrument": identity.key,
        "model_id": identity.model_id,
        "model_sha": identity.model_sha,
        "weights_sha256": identity.weights_sha256,
        "preprocess_tag": identity.preprocess_tag,
        "fingerprint": identity.fingerprint,
        "source_sha256": source_sha256,
        "licence": identity.licence,
        "commercial_use": identity.commercial_use,
    }
    schema = plate_file_schema(identity.role)
    constants = [pl.lit(value, dtype=pl.String).alias(name) for name, value in columns.items()]
    return rows.with_columns(constants).select(schema.names()).cast(schema)
