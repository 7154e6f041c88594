"""Unsound boxes, verdicts, colours and polygons are named, even where their file's digest is right."""

import json
from typing import Any

import polars as pl
import pytest
from support.fake_instruments import SEGMENTER
from support.fake_regions import KEPT, PALETTE, POLYGONS, region_registry
from support.made_datasets import make_dataset
from support.made_results import run_instrument

from atlas_resources.runs.sealed import find_done
from atlas_resources.tables.region_soundness import unsound_colours, unsound_outlines, unsound_verdicts
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.soundness import unsound_boxes
from atlas_resources.verification.soundness import ROW_CHECKS, unsound_result

SQUARE = [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]  # four corners, area 4
NAMED = {"plate_id": "p", "instrument": "i", "segment_id": "mask-0001"}
BOX = {
    **{"plate_id": "p", "instrument": "i", "detection_id": "box-0001", "score": 0.5},
    **{"x_min": 10.0, "y_min": 10.0, "x_max": 50.0, "y_max": 20.0},
    **{"x_min_ratio": 0.1, "y_min_ratio": 0.2, "x_max_ratio": 0.5, "y_max_ratio": 0.4},
}
COLOURS = {
    **{**NAMED, "area_px": 9, "interior_px": 1, "luminance_mean": 90.0, "luminance_std": 2.0, "luminance_p01": 80},
    **{"luminance_p99": 99, "chroma_mean": 3.0, "paper_ratio": 0.5, "paper_difference": None, "edge_density": 0.1},
    **{"laplacian_variance": 0.1, "palette": [{"share": 0.75}, {"share": 0.25}]},
}
OUTLINE = {
    **{**NAMED, "multipolygon": json.dumps({"type": "MultiPolygon", "coordinates": [SQUARE]}), "polygon_count": 1},
    **{"hole_count": 0, "vertex_count": 4, "polygon_area_px": 4.0, "reprojected_iou": 1.0},
}


def test_every_role_has_its_check():
    assert ROW_CHECKS.keys() == INSTRUMENT_TABLES.keys()


def multipolygon(*rings: list[list[float]]) -> str:
    return json.dumps({"type": "MultiPolygon", "coordinates": [list(rings)]})


@pytest.mark.parametrize("changed", [
    {"x_min": 60.0}, {"x_max": 51.0}, {"y_min_ratio": 0.3}, {"score": 1.5}, {"score": float("nan")}, {"score": None},
    {"x_max": float("nan")}, {"y_max": float("inf")}, {"y_min": None},
    {"x_min": 110.0, "x_max": 120.0, "x_min_ratio": 1.1, "x_max_ratio": 1.2},
])  # fmt: skip
def test_a_box_is_on_its_plate_in_order_and_the_same_in_pixels_and_shares(changed: dict[str, Any]):
    """On a plate of 100 x 50 pixels."""
    plates = pl.DataFrame({"plate_id": ["p"], "width": [100], "height": [50]})
    assert list(unsound_boxes(pl.DataFrame([BOX]), plates)) == []
    (line,) = unsound_boxes(pl.DataFrame([{**BOX, **changed}]), plates)
    assert line.startswith("p i box-0001: ")


def test_a_box_without_a_finite_edge_is_found_before_its_plates_size_is_known():
    plates = pl.DataFrame(schema={"plate_id": pl.String, "width": pl.Int64, "height": pl.Int64})
    assert list(unsound_boxes(pl.DataFrame([BOX]), plates)) == []
    assert len(list(unsound_boxes(pl.DataFrame([{**BOX, "x_max": float("nan")}]), plates))) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"palette": [{"share": 0.75}, {"share": 0.2}]}, "shares of the palette sum to 0.95"),
        ({"chroma_mean": float("nan")}, "chroma_mean is nan"),
        ({"luminance_p01": 100}, "luminance_p01, mean and p99 are [100, 90.0, 99]"),
        ({"luminance_mean": 256.0}, "expected levels of 0 to 255"),
        ({"paper_ratio": 1.5}, "paper_ratio 1.5, expected 0 to 1"),
        ({"interior_px": 10}, "interior_px 10 of 9"),
    ],
)
def test_colours_are_in_their_ranges_and_a_palettes_shares_sum_to_one(changed: dict[str, Any], message: str):
    assert list(unsound_colours(pl.DataFrame([COLOURS]))) == []
    (line,) = unsound_colours(pl.DataFrame([{**COLOURS, **changed}]))
    assert line.startswith("p i mask-0001: ")
    assert message in line


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"multipolygon": "{"}, "no valid multipolygon"),
        ({"multipolygon": '{"type": "Point", "coordinates": [1, 1]}'}, "no valid multipolygon"),
        ({"multipolygon": multipolygon([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]])}, "no valid multipolygon"),
        ({"vertex_count": 5}, "(1, 0, 4), recorded (1, 0, 5)"),
        ({"polygon_area_px": 4.1}, "area 4.0, recorded 4.1"),
        ({"multipolygon": multipolygon([[-1, 0], [1, 0], [1, 2], [-1, 2], [-1, 0]])}, "beyond the plate"),
        ({"reprojected_iou": 1.2}, "reprojected_iou 1.2"),
    ],
)
def test_polygons_are_valid_on_the_plate_and_as_counted(changed: dict[str, Any], message: str):
    assert list(unsound_outlines(pl.DataFrame([OUTLINE]))) == []
    (line,) = unsound_outlines(pl.DataFrame([{**OUTLINE, **changed}]))
    assert message in line


def test_what_the_pipeline_makes_is_sound_and_a_verdict_that_contradicts_itself_is_named(tmp_path, fakes):
    dataset, registry = make_dataset(tmp_path, "red"), region_registry()
    for key in (SEGMENTER, KEPT, PALETTE, POLYGONS):
        assert run_instrument(dataset, registry, key) == ["complete"]
        manifest = find_done(dataset.plate("plate-001"), registry.instruments[key].identity)
        assert manifest is not None
        assert list(unsound_result(dataset.plate("plate-001"), manifest, {})) == []
    (path,) = dataset.plate("plate-001").runs_folder.glob("*/kept_segments.parquet")
    rows = pl.read_parquet(path)
    is_kept = pl.col("rank").is_not_null()
    for changed, message in (
        ({"rank": pl.lit(1, pl.Int32)}, "reason drop_class: paper, and no mask"),
        ({"reason": pl.lit("too small")}, "rank 1, reason too small, and a mask"),
        ({"rank": pl.when(is_kept).then(2).cast(pl.Int32)}, "ranks [2], expected 1 to 1"),
        ({"duplicate_of": pl.when(~is_kept).then(pl.lit("mask-0009"))}, "duplicate of mask-0009, which is not kept"),
        ({"area_px": pl.lit(3, pl.Int64)}, "recorded 3"),
    ):
        assert message in "\n".join(unsound_verdicts(rows.with_columns(**changed)))
