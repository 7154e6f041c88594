"""What can be wrong in rows of verdicts, colours and polygons: each function yields a line per unsound row."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from atlas_resources.tables.soundness import unsound_masks

SHARE_TOLERANCE = 1e-6  # of a sum of float64 shares
AREA_TOLERANCE = 1e-6  # relative; GeoJSON keeps every digit of a float64


def unsound_verdicts(rows: pl.DataFrame) -> Iterator[str]:
    """Finds verdicts that are neither kept nor dropped, ranks other than 1, 2, 3 ..., and unsound masks of the kept.

    Args:
        rows: of `result_columns.KEPT_SEGMENT`, with plate_id and instrument.
    """
    is_kept = pl.col("rank").is_not_null()
    contradicts = (is_kept == pl.col("reason").is_not_null()) | (is_kept != pl.col("mask_rle").is_not_null())
    for row in rows.filter(contradicts).iter_rows(named=True):
        mask = "a mask" if row["mask_rle"] is not None else "no mask"
        yield f"{_name(row)}: rank {row['rank']}, reason {row['reason']}, and {mask}"
    kept = rows.filter(is_kept)
    for (plate_id, key), segments in kept.group_by("plate_id", "instrument", maintain_order=True):
        ranks = segments["rank"].sort().to_list()
        if ranks != list(range(1, len(ranks) + 1)):
            yield f"{plate_id} {key}: ranks {ranks}, expected 1 to {len(ranks)}"
    originals = kept.select("plate_id", "instrument", duplicate_of="segment_id")
    copies = rows.filter(pl.col("duplicate_of").is_not_null())
    for row in copies.join(originals, on=originals.columns, how="anti").iter_rows(named=True):
        yield f"{_name(row)}: duplicate of {row['duplicate_of']}, which is not kept"
    yield from unsound_masks(kept.filter(pl.col("mask_rle").is_not_null()))


def unsound_colours(rows: pl.DataFrame) -> Iterator[str]:
    """Finds palettes whose shares do not sum to 1, numbers out of range or not finite, and more interior than pixels.

    Args:
        rows: of `result_columns.REGION_COLOURS`, with plate_id and instrument.
    """
    finite = ("luminance_std", "chroma_mean", "paper_difference", "edge_density", "laplacian_variance")
    for row in rows.iter_rows(named=True):
        total = sum(colour["share"] for colour in row["palette"])
        unsound = [name for name in finite if not 0 <= (row[name] or 0.0) < float("inf")]
        if not abs(total - 1) <= SHARE_TOLERANCE:
            yield f"{_name(row)}: shares of the palette sum to {total}"
        elif unsound:
            yield f"{_name(row)}: {unsound[0]} is {row[unsound[0]]}, expected a finite number from 0"
        elif not 0 <= row["paper_ratio"] <= 1:
            yield f"{_name(row)}: paper_ratio {row['paper_ratio']}, expected 0 to 1"
        elif not 0 <= row["luminance_mean"] <= 255 or not 0 <= row["luminance_p01"] <= row["luminance_p99"] <= 255:
            levels = [row[name] for name in ("luminance_p01", "luminance_mean", "luminance_p99")]
            yield f"{_name(row)}: luminance_p01, mean and p99 are {levels}, expected levels of 0 to 255 in order"
        elif not 0 <= row["interior_px"] <= row["area_px"]:
            yield f"{_name(row)}: interior_px {row['interior_px']} of {row['area_px']}"


def unsound_outlines(rows: pl.DataFrame) -> Iterator[str]:
    """Finds polygons that are no valid multipolygon on the plate, or whose counts or area differ from those recorded.

    Args:
        rows: of `result_columns.REGION_OUTLINE`, with plate_id and instrument.
    """
    import shapely

    for row in rows.iter_rows(named=True):
        shape = shapely.from_geojson(row["multipolygon"], on_invalid="ignore")
        if not isinstance(shape, shapely.MultiPolygon) or shape.is_empty or not shape.is_valid:
            yield f"{_name(row)}: no valid multipolygon"
            continue
        holes = sum(len(polygon.interiors) for polygon in shape.geoms)
        pieces = len(shape.geoms)
        found = (pieces, holes, int(shapely.get_num_coordinates(shape)) - pieces - holes)
        recorded = (row["polygon_count"], row["hole_count"], row["vertex_count"])
        if found != recorded:
            yield f"{_name(row)}: polygons, holes and vertices {found}, recorded {recorded}"
        elif not abs(shape.area - row["polygon_area_px"]) <= AREA_TOLERANCE * shape.area:
            yield f"{_name(row)}: area {shape.area}, recorded {row['polygon_area_px']}"
        elif min(shape.bounds) < 0:
            yield f"{_name(row)}: reaches {min(shape.bounds)}, beyond the plate"
        elif not 0 <= row["reprojected_iou"] <= 1:
            yield f"{_name(row)}: reprojected_iou {row['reprojected_iou']}, expected 0 to 1"


def _name(row: dict[str, Any]) -> str:
    return f"{row['plate_id']} {row['instrument']} {row['segment_id']}"
