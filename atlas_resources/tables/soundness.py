"""What can be wrong in rows of vectors, masks, scores and boxes, and in groundwork: each function yields a line per
unsound row."""

from collections.abc import Iterator, Mapping

import polars as pl

from atlas_resources.measures.masks import run_lengths
from atlas_resources.plates.contracts import ColorHistograms, InputImage

NORM_TOLERANCE = 1e-4  # relative; vectors are float32, their length is summed in float64
NORM_RANGE = (1e-3, 1e6)  # outside it, a model gave all zeros or overflowed
PIXEL_TOLERANCE = 1e-6  # of float64 arithmetic on sides below 10^5 pixels
SUM_TOLERANCE = 1e-4  # of 1000 float32 probabilities


def unsound_vectors(rows: pl.DataFrame, dims: Mapping[str, int]) -> Iterator[str]:
    """Finds vectors that are not finite float32 of the declared length, or whose norm is not as recorded or in range.

    Args:
        rows: of `result_columns.EMBEDDING`, with plate_id and instrument.
        dims: declared length of a vector, by instrument.
    """
    if rows.schema["vector"] != pl.List(pl.Float32):
        yield f"vectors are {rows.schema['vector']}, expected a list of float32"
        return
    for row in rows.select("plate_id", "instrument", "vector", "l2_norm").iter_rows(named=True):
        name, declared = f"{row['plate_id']} {row['instrument']}", dims.get(row["instrument"])
        vector = pl.Series(row["vector"], dtype=pl.Float64)
        norm = float((vector * vector).sum()) ** 0.5
        if len(vector) != declared:
            yield f"{name}: {len(vector)} values, declared {declared}"
        elif not vector.is_finite().all():
            yield f"{name}: not finite"
        elif not NORM_RANGE[0] <= norm <= NORM_RANGE[1]:
            yield f"{name}: of length {norm:.6g}, expected {NORM_RANGE[0]:g} to {NORM_RANGE[1]:g}"
        elif not abs(norm - row["l2_norm"]) <= NORM_TOLERANCE * norm:
            yield f"{name}: l2_norm {row['l2_norm']}, found {norm}"


def unsound_masks(rows: pl.DataFrame) -> Iterator[str]:
    """Finds masks whose run lengths have another area, box or digest than recorded. Decodes no mask.

    Args:
        rows: of `result_columns.SEGMENT`, with plate_id and instrument.
    """
    for row in rows.iter_rows(named=True):
        name = f"{row['plate_id']} {row['instrument']} {row['segment_id']}"
        mask = row["mask_rle"], row["height_px"], row["width_px"]
        area_px, digest = run_lengths.area_px(*mask), run_lengths.mask_sha256(*mask)
        if area_px != row["area_px"]:
            yield f"{name}: area {area_px}, recorded {row['area_px']}"
        elif digest != row["mask_sha256"]:
            yield f"{name}: sha256 {digest[:12]}..., recorded {row['mask_sha256'][:12]}..."
        else:
            found = run_lengths.bounding_box(*mask)
            if found != (row["x_min"], row["y_min"], row["x_max"], row["y_max"]):
                yield f"{name}: box {found}, recorded {(row['x_min'], row['y_min'], row['x_max'], row['y_max'])}"


def unsound_scores(rows: pl.DataFrame) -> Iterator[str]:
    """Finds plates with a score that is not finite, or with softmax scores that do not sum to 1.

    Scores of a softmax sum to 1 over all labels of an instrument, or over the prompts of each set.

    Args:
        rows: of `result_columns.PROBE`, with plate_id and instrument. Older files lack `activation`
            and `prompt_set`.
    """
    later = {"activation": pl.String, "prompt_set": pl.String}
    rows = rows.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in later.items() if name not in rows.columns
    )
    scores = pl.col("score").cast(pl.Float64)
    is_softmax = pl.col("activation").fill_null("softmax").str.starts_with("softmax").all()
    choices = rows.group_by("plate_id", "instrument", "prompt_set").agg(
        scores.sum().alias("sum"),
        (scores.is_finite() & pl.col("logit").is_finite()).all().alias("is_finite"),
        (is_softmax & (pl.len() > 1)).alias("is_share"),
    )
    for plate_id, key, name, total, is_finite, is_share in choices.sort(pl.all().exclude("sum")).iter_rows():
        if not is_finite:
            yield f"{plate_id} {key}: a score is not finite"
        elif is_share and not abs(total - 1) <= SUM_TOLERANCE:
            yield f"{plate_id} {key}{f' {name}' if name else ''}: scores sum to {total}"


def unsound_boxes(rows: pl.DataFrame, plates: pl.DataFrame) -> Iterator[str]:
    """Finds boxes whose edges are not finite, out of order, wholly outside the plate, or not the recorded share of its
    sides; and scores outside 0..1.

    Args:
        rows: of `result_columns.DETECTION`, with plate_id and instrument.
        plates: plate_id, width and height in pixels. The shares are not checked for a plate
            without a size.
    """
    sides = rows.join(plates.select("plate_id", "width", "height"), on="plate_id", how="left")
    differ = [
        (pl.col(f"{axis}_{end}") - pl.col(f"{axis}_{end}_ratio") * pl.col(side)).abs() > PIXEL_TOLERANCE
        for axis, side in (("x", "width"), ("y", "height"))
        for end in ("min", "max")
    ]
    numbers = [f"{axis}_{end}{kind}" for axis in "xy" for end in ("min", "max") for kind in ("", "_ratio")]
    is_not_finite = ~pl.all_horizontal(pl.col(*numbers, "score").is_finite().fill_null(False))
    is_beyond = pl.any_horizontal(pl.col("x_max_ratio", "y_max_ratio") < 0, pl.col("x_min_ratio", "y_min_ratio") > 1)
    is_out_of_order = (pl.col("x_min") > pl.col("x_max")) | (pl.col("y_min") > pl.col("y_max"))
    is_wrong = pl.any_horizontal(is_not_finite, is_beyond, is_out_of_order, ~pl.col("score").is_between(0, 1), *differ)
    wrong = sides.filter(is_wrong.fill_null(False)).select("plate_id", "instrument", "detection_id", "score")
    for plate_id, key, name, score in wrong.iter_rows():
        yield (
            f"{plate_id} {key} {name}: edges out of order, not finite, outside the plate or not the recorded share "
            f"of its sides, or score {score}"
        )


COSINE_TOLERANCE = 1e-5  # of a mean of float32


def unsound_texts(rows: pl.DataFrame, plates: pl.DataFrame) -> Iterator[str]:
    """Finds texts that are not marked as machine-made, scores outside 0..1, boxes that are not around the quadrilateral
    or wholly outside the plate, a threshold without a score, and ranked keywords without a cosine or a rank.

    Args:
        rows: of `text_columns.TEXT`, with plate_id and instrument.
        plates: plate_id, width and height in pixels. A place is not compared with a plate without a size.
    """
    sides = rows.join(plates.select("plate_id", "width", "height"), on="plate_id", how="left")
    corners, edges = pl.col("quadrilateral"), ("x_min", "y_min", "x_max", "y_max")
    across, down = corners.list.gather_every(2), corners.list.gather_every(2, 1)
    around = zip(edges, (across.list.min(), down.list.min(), across.list.max(), down.list.max()), strict=True)
    differs = pl.any_horizontal(*((pl.col(edge) - found).abs() > PIXEL_TOLERANCE for edge, found in around))
    is_finite = pl.all_horizontal(*(pl.col(edge).is_finite().fill_null(False) for edge in edges))
    has_edge = pl.any_horizontal(*(pl.col(edge).is_not_null() for edge in edges))
    is_misplaced = pl.when(corners.is_null()).then(has_edge).otherwise((corners.list.len() != 8) | ~is_finite | differs)
    is_beyond = pl.any_horizontal(
        *(pl.col(edge) < 0 for edge in edges[2:]), pl.col("x_min") > pl.col("width"), pl.col("y_min") > pl.col("height")
    )
    is_wrong = pl.any_horizontal(
        ~pl.col("machine_made").fill_null(False),
        pl.col("text").is_null(),
        ~pl.col("score").is_between(0, 1),
        pl.col("is_above_threshold").is_not_null() & pl.col("score").is_null(),
        is_misplaced,
        is_beyond,
        *([_is_misranked()] if "rank" in rows.columns else []),  # files of earlier versions have no ranks
    )
    wrong = sides.filter(is_wrong.fill_null(False)).select("plate_id", "instrument", "text_id", "score")
    for plate_id, key, name, score in wrong.iter_rows():
        yield (
            f"{plate_id} {key} {name}: not marked as machine-made, no text, a box that is not around its corners or is "
            f"outside the plate, score {score}, or a rank without a cosine in -1..1 or an interval"
        )


def _is_misranked() -> pl.Expr:
    """Whether a row of a ranking lacks its cosine, rank or interval, or a row of another form has a rank."""
    is_sound = pl.all_horizontal(
        pl.col("cosine").is_between(-1 - COSINE_TOLERANCE, 1 + COSINE_TOLERANCE),
        pl.col("rank") >= 1,
        pl.col("rank_low") >= 1,
        pl.col("rank_low") <= pl.col("rank_high"),
        pl.col("top_ratio").is_between(0, 1),
    ).fill_null(False)
    return pl.when(pl.col("form") == "ranking").then(~is_sound).otherwise(pl.col("rank").is_not_null())


def unsound_groundwork(image: InputImage, histograms: ColorHistograms) -> Iterator[str]:
    """Finds counts that do not sum to the plate's pixels, and contradictions between the two files."""
    name = histograms.plate_id
    if not image.pixel_count == histograms.pixel_count == image.width * image.height:
        yield (
            f"{name}: {image.width} x {image.height} pixels, pixel_count {image.pixel_count} in input_image.json, "
            f"{histograms.pixel_count} in input_color_histograms.json"
        )
    counts = {channel: getattr(histograms, channel) for channel in ("red", "green", "blue", "luminance")}
    for channel, levels in {**counts, "lab": histograms.lab.counts}.items():
        if sum(levels) != histograms.pixel_count:
            yield f"{name}: {channel} sums to {sum(levels)}, expected {histograms.pixel_count}"
    if image.source_sha256 != histograms.source_sha256:
        yield f"{name}: its files are of different sources, {image.source_sha256} and {histograms.source_sha256}"
