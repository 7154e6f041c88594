"""The unit of every number, by the name of its column or field: most names end with it."""

EXACT = {
    "histograms.lab": "pixels",
    "histograms.luminance": "pixels",
    "input_color_histograms.luminance": "pixels",
    "input_color_histograms.lab.counts": "pixels",
    "red": "pixels",
    "green": "pixels",
    "blue": "pixels",
    "width": "px",
    "height": "px",
    "megapixels": "million pixels",
    "aspect_ratio": "ratio",
    "area_px": "px²",
    "interior_px": "px²",
    "left_out_px": "px²",
    "polygon_area_px": "px²",
    "luminance_entropy": "bits",
    "laplacian_variance": "luma²",
    "edge_density": "ratio",
    "rms_contrast": "ratio",
    "solidity": "ratio",
    "predicted_iou": "ratio",
    "reprojected_iou": "ratio",
    "stability_score": "ratio",
    "fragmentation_score": "ratio",
    "quadrilateral": "px",
    "image_grid": "count",
    "centroid_x": "ratio",
    "centroid_y": "ratio",
    "share": "ratio",
    "largest_foreground_share": "ratio",
    "paper_threshold": "luma, 0..255",
    "threshold": "luma, 0..255",
    "chroma_mean": "Lab",
    "paper_difference": "CIEDE2000",
    "spread_delta_e": "CIEDE2000",
    "vector": "the model's own",
    "l2_norm": "the model's own",
    "logit": "the model's own",
    "score": "the model's own",
    "cosine": "cosine, -1..1",
    "cosine_min": "cosine, -1..1",
    "keyword_ranks.score": "cosine, -1..1",
    "rank_agreement": "Kendall's tau-b, -1..1",
    "keyword_agreement": "Jaccard index, 0..1",
    "images_per_second": "1/s",
    **{f"images_per_second_{number}": "1/s" for number in (1, 2, 4, 8)},
    "tokens_per_second": "1/s",
    "concurrency": "count",
    "most_at_once": "count",
    "plates_done": "count",
    "output_token_mean": "count",
    "position": "number",
    "largest": "as its measure",
    "tolerance": "as its measure",
    "relative": "ratio",
    "pixel_share": "ratio",
    "delta_e": "CIEDE2000",
    "threads": "count",
    "seconds": "s",
    "sealed_row_count": "count",
    "repeated_row_count": "count",
    "since": "UTC",
    "decode": "s",
    "preprocess": "s",
    "compute": "s",
    "seal": "s",
    "number": "number",
    "restores": "number",
    "restored_by": "number",
    "withdrawn_by": "number",
    "intrinsic_dimension": "directions",
    "cluster": "number",
    "cluster_probability": "ratio",
    "uniqueness": "ratio",
    "outlier_factor": "ratio of densities",
    "shared_neighbours": "ratio",
    "disagreement": "ratio",
    "changed_ratio_per_second": "1/s",
    "seconds_per_plate": "s",
    "p_value": "ratio",
    "coordinates.x": "the method's own",
    "coordinates.y": "the method's own",
    "agreement.value": "as its measure",
    "agreement.low": "as its measure",
    "agreement.high": "as its measure",
    "null_mean": "as its measure",
    "critical": "as its measure",
    "calibrated": "ratio",
    "additions.low": "ratio",
    "additions.high": "ratio",
}
"""Units of single names; a name with its table or file in front comes first."""
PATTERNS = (
    (("x_min", "y_min", "x_max", "y_max"), "px"),
    (("_px",), "px"),
    (("_ratio",), "ratio"),
    (("_bytes",), "bytes"),
    (("_seconds",), "s"),
    (("_at",), "UTC"),
    (("_cosine",), "cosine, -1..1"),
    (("cluster_stability", "_stability_low", "_stability_high"), "adjusted Rand index, -1..1"),
    (("hash_distance",), "bits"),
    (("_rgb",), "sRGB, 0..255"),
    (("luminance_mean", "luminance_std", "luminance_p01", "luminance_p99"), "luma, 0..255"),
    (("lab", "_lab", "lab_mean", "l_range", "a_range", "b_range"), "Lab"),
    (("_count", "attempts", "vector_dim", "lab_bins", "bins", "batch_size"), "count"),
    (("attempt", "rank", "rank_low", "rank_high", "_number", "_page", "_version", "_index", "index"), "number"),
    (("class_id", "process_id", "cudnn"), "number"),
)
"""Units by the end of the name; the first that fits."""


class UnitUnknown(LookupError):
    """A number whose unit is not stated."""


def unit_of(owner: str, path: str) -> str:
    """The unit of a number.

    Args:
        owner: the table or JSON file that it is in.
        path: the column or field, as `schemas.Parts` names it; list marks are ignored.

    Raises:
        UnitUnknown: neither name nor pattern is listed here.
    """
    path = path.replace("[]", "").replace("{}", "")
    name = path.rpartition(".")[2]
    if exact := EXACT.get(f"{owner}.{path}") or EXACT.get(name):
        return exact
    for ends, unit in PATTERNS:
        if name.endswith(ends):
            return unit
    raise UnitUnknown(
        f"{owner}.{path}: a number without a unit. Fix: name it with one (`_px`, `_ratio`, `_count`, `_seconds`, "
        "`_bytes`), or list its unit in atlas_assets/cli/dictionary/units.py"
    )
