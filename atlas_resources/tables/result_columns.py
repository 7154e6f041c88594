"""What instruments measure, column by column: vectors, masks, scores, boxes, and what is derived from masks."""

import polars as pl

from atlas_resources.tables.table import COLOURS, Column

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
        "How a segment was cut out: shape, padding, surroundings; null unless the scope is segment.",
    ),
    Column("vector_dim", pl.Int32, "Length of the vector."),
    Column("vector", pl.List(pl.Float32), "Raw vector as the model gave it, not normalised."),
    Column("l2_norm", pl.Float64, "Euclidean length of the vector."),
)
SIZE = (
    Column("height_px", pl.Int32, "Height of the mask, equal to the source's, pixels."),
    Column("width_px", pl.Int32, "Width of the mask, equal to the source's, pixels."),
)
BOX = (
    Column("x_min", pl.Int32, "Left edge of the bounding box, source pixels, inclusive."),
    Column("y_min", pl.Int32, "Top edge of the bounding box, source pixels, inclusive."),
    Column("x_max", pl.Int32, "Right edge of the bounding box, source pixels, exclusive."),
    Column("y_max", pl.Int32, "Bottom edge of the bounding box, source pixels, exclusive."),
)
AREA = (
    Column("area_px", pl.Int64, "Pixels in the mask."),
    Column("area_ratio", pl.Float64, "area_px over the source's pixels, 0..1."),
)
SEGMENT = (
    Column("segment_id", pl.String, "mask-0001 ...: by area descending, then position."),
    Column(
        "class_id",
        pl.Int32,
        "Id of the class in the model's vocabulary; null if the mask has no class or the class no id.",
    ),
    Column("class_name", pl.String, "Class of the mask; null for class-agnostic masks."),
    Column("mask_rle", pl.String, "COCO run-length encoding at source size (pycocotools counts, column-major)."),
    Column("mask_sha256", pl.String, "sha256 of `<height>x<width>:<mask_rle>`."),
    *SIZE,
    *BOX,
    *AREA,
    Column("centroid_x", pl.Float64, "Mean x of the mask's pixel centres over the width, 0..1."),
    Column("centroid_y", pl.Float64, "Mean y of the mask's pixel centres over the height, 0..1."),
    Column("predicted_iou", pl.Float64, "The model's own estimate of the mask's quality, 0..1; null if it gives none."),
    Column("stability_score", pl.Float64, "Stability under a shifted threshold, 0..1; null if the model gives none."),
    Column("fragmentation_score", pl.Float64, "1 - the largest connected component's share of the area, 0..1."),
    Column("component_count", pl.Int32, "Connected components (8-connectivity)."),
    Column("hole_count", pl.Int32, "Holes in the mask (4-connectivity of the background)."),
    Column("solidity", pl.Float64, "area_px over the area of the convex hull of the mask's pixel squares, 0..1."),
    Column("touches_border", pl.Boolean, "Whether the mask reaches the image's edge."),
    Column("palette", COLOURS, "Dominant colours inside the mask on the working raster: Lab (D65), sRGB hex, share."),
)
PROMPT = (
    Column("prompt_set", pl.String, "Prompt set that was asked (model_specs/prompts/); null without prompts."),
    Column("prompt_version", pl.Int32, "Version of the prompt set; null without prompts."),
    Column("prompt_id", pl.String, "Id of the prompt in its set; null without prompts."),
    Column("prompt_sha256", pl.String, "sha256 of the prompt's text, UTF-8; null without prompts."),
)
DETECTION = (
    Column("detection_id", pl.String, "box-0001 ...: by score descending, then position."),
    Column(
        "label",
        pl.String,
        "The detector's label. A weak signal: the detector knows photographs and gives the nearest class that it has. "
        "With a prompt of words, the tokens above the text threshold; empty if there are none.",
    ),
    Column("label_id", pl.String, "Id of the label in the model's vocabulary; null with a prompt of words."),
    Column(
        "score",
        pl.Float32,
        "The model's own score, 0..1, above the instrument's threshold. A weak signal: not calibrated, and not "
        "comparable between instruments.",
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
    Column(
        "label_id",
        pl.String,
        "Id of the label in its vocabulary, never null: the WordNet synset for ImageNet, the prompt's id with prompts, "
        "the index for a classifier whose configuration has names only, `rating` for a rating.",
    ),
    Column("label", pl.String, "Name of the label, as the library gives it. Two labels may share a name."),
    Column("logit", pl.Float32, "Raw output before the activation; with prompts, the cosine as scaled by the model."),
    Column(
        "score",
        pl.Float32,
        "The logit after `activation`: a probability 0..1, or a rating on the model's own scale.",
    ),
    Column(
        "activation",
        pl.String,
        "softmax over all labels (also if null), softmax_per_prompt_set, sigmoid of each label alone, or identity.",
    ),
    Column("cosine", pl.Float32, "Cosine of image and prompt, -1..1; null without prompts."),
    Column("calibration", pl.String, "What the score is calibrated to, or uncalibrated."),
    Column("failure_modes", pl.String, "Known failure modes, from the spec."),
    *PROMPT,
)

KEPT_SEGMENT = (
    Column("segment_id", pl.String, "Segment of the raw set, in `segments` under the segmenter."),
    Column("segmenter", pl.String, "Instrument that made the raw set."),
    Column("rank", pl.Int32, "Rank among the kept segments, from 1; null for a dropped segment."),
    Column("reason", pl.String, "Rule that dropped it, with the number that broke the rule; null for a kept segment."),
    Column("duplicate_of", pl.String, "Kept segment that it overlaps too much; null unless it was dropped for that."),
    Column("paper_ratio", pl.Float64, "Share of its pixels as light as the plate's paper; null unless a rule uses it."),
    *AREA,
    *BOX,
    *SIZE,
    Column("mask_sha256", pl.String, "sha256 of `<height>x<width>:<mask_rle>` of the raw set's mask."),
    Column("mask_rle", pl.String, "The raw set's mask, COCO run-length encoding; null for a dropped segment."),
)
SEGMENT_OF = (
    Column("segment_id", pl.String, "Segment, in `segments` under the segmenter."),
    Column("segmenter", pl.String, "Instrument whose segment it is."),
)
REGION_COLOURS = (
    *SEGMENT_OF,
    Column("mask_sha256", pl.String, "sha256 of the mask; only its pixels were measured."),
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
    Column("interior_px", pl.Int64, "Pixels whose eight neighbours are in the mask too; texture is measured on these."),
    Column("edge_density", pl.Float64, "Mean Sobel magnitude of luma (0..1); null without interior."),
    Column("laplacian_variance", pl.Float64, "Variance of the Laplacian of luma; null without interior."),
)
REGION_OUTLINE = (
    *SEGMENT_OF,
    Column("mask_sha256", pl.String, "sha256 of the mask that was traced."),
    Column(
        "multipolygon",
        pl.String,
        "GeoJSON geometry in source pixels: x right, y down, pixel (0, 0) covering 0..1; exterior rings "
        "counterclockwise by these coordinates.",
    ),
    Column("tolerance_px", pl.Float64, "Tolerance that the contours were simplified with, source pixels."),
    Column(
        "declared_tolerance_px",
        pl.Float64,
        "Declared share of the plate's longer side in source pixels; tolerance_px is smaller where the polygons would "
        "have agreed too little with the mask. Null in older rows, whose tolerance was declared in pixels.",
    ),
    Column("polygon_count", pl.Int32, "Polygons."),
    Column("hole_count", pl.Int32, "Holes in the polygons."),
    Column("vertex_count", pl.Int32, "Corners of all rings."),
    Column("polygon_area_px", pl.Float64, "Area of the polygons, square pixels."),
    Column("area_error_ratio", pl.Float64, "polygon_area_px / the mask's pixels - 1."),
    Column("reprojected_iou", pl.Float64, "Intersection over union of the mask with the filled polygons, 0..1."),
    Column("left_out_px", pl.Float64, "Area of the rings left out as too small, square pixels."),
)
