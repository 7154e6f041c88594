"""Outlines: each kept segment as polygons, with measures of how well they match its mask."""

import json
from typing import Any

from PIL import Image
from shapely import to_geojson

from atlas_assets.roles.regions.plate_segments import KeptSegment, PlateSegments, RegionWork, declared_region
from atlas_assets.ui.regions import outline_overlay
from atlas_resources.instruments.region_plans import OutlineParameters
from atlas_resources.measures.masks.outlines import trace_outline
from atlas_resources.runs.sealing import Measurement
from atlas_resources.tables.result_columns import REGION_OUTLINE
from atlas_resources.tables.table import frame_of


class OutlineWork(RegionWork):
    """Traces the polygons of each kept segment."""

    model: OutlineParameters

    def measure(self, batch: list[PlateSegments]) -> list[Measurement]:
        """One row per kept segment."""
        return [self._measure_one(plate) for plate in batch]

    def _measure_one(self, plate: PlateSegments) -> Measurement:
        rows = [self._row(segment) for segment in plate.segments()]
        metrics = {
            "segment_count": len(rows),
            "vertex_count": sum(row["vertex_count"] for row in rows),
            "reprojected_iou_min": min((row["reprojected_iou"] for row in rows), default=None),
        }
        shapes = [json.loads(row["multipolygon"])["coordinates"] for row in rows]
        return Measurement(
            frame_of(REGION_OUTLINE, rows), metrics, outline_overlay(Image.fromarray(plate.pixels), shapes)
        )

    def _row(self, segment: KeptSegment) -> dict[str, Any]:
        height_px, width_px = segment.mask.shape
        declared_px = self.model.tolerance_ratio * max(height_px, width_px)
        least_px = self.model.min_ring_area_ratio * height_px * width_px
        outline = trace_outline(segment.mask, declared_px, least_px, self.model.min_reprojected_iou)
        return {
            "segment_id": segment.segment_id,
            "segmenter": declared_region(self.spec).segmenter,
            "mask_sha256": segment.row["mask_sha256"],
            "multipolygon": to_geojson(outline.shape),
            "declared_tolerance_px": declared_px,
            "tolerance_px": outline.tolerance_px,
            "polygon_count": len(outline.shape.geoms),
            "hole_count": outline.hole_count,
            "vertex_count": outline.vertex_count,
            "polygon_area_px": outline.shape.area,
            "area_error_ratio": outline.area_error_ratio,
            "reprojected_iou": outline.reprojected_iou,
            "left_out_px": outline.left_out_px,
        }
