"""Palettes: colours, luminance and texture of each kept segment, from the source's pixels inside its mask."""

from dataclasses import asdict
from typing import Any

import numpy as np

from atlas_assets.roles.regions.plate_segments import KeptSegment, PlateSegments, RegionWork, declared_region
from atlas_assets.ui.regions import RegionCard, region_sheet
from atlas_resources.instruments.region_plans import PaletteParameters
from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.luma import luma
from atlas_resources.measures.colour.paper import split_paper
from atlas_resources.measures.masks.colours import describe_colours
from atlas_resources.measures.masks.crops import CropBox, crop_box, cut_out
from atlas_resources.measures.masks.texture import texture
from atlas_resources.runs.sealing import Measurement
from atlas_resources.tables.result_columns import REGION_COLOURS
from atlas_resources.tables.table import frame_of


class PaletteWork(RegionWork):
    """Measures the colours and the texture of each kept segment."""

    model: PaletteParameters

    def measure(self, batch: list[PlateSegments]) -> list[Measurement]:
        """One row per kept segment."""
        return [self._measure_one(plate) for plate in batch]

    def _measure_one(self, plate: PlateSegments) -> Measurement:
        paper, levels = split_paper(count_colours(plate.pixels)), luma(plate.pixels)
        rows, cards = [], []
        for segment in plate.segments():
            row = self._row(plate, segment, paper, levels)
            rows.append(row)
            cards.append(_card(plate, segment, row["palette"]))
        metrics = {
            "segment_count": len(rows),
            "paper_difference_max": max((row["paper_difference"] or 0.0 for row in rows), default=None),
            "edge_density_max": max((row["edge_density"] or 0.0 for row in rows), default=None),
        }
        return Measurement(frame_of(REGION_COLOURS, rows), metrics, region_sheet(cards) if cards else None)

    def _row(self, plate: PlateSegments, segment: KeptSegment, paper: Any, levels: np.ndarray) -> dict[str, Any]:
        census = count_colours(plate.pixels, segment.mask)
        colours = describe_colours(census, paper, self.model.most_colours)
        return {
            "segment_id": segment.segment_id,
            "segmenter": declared_region(self.spec).segmenter,
            "mask_sha256": segment.row["mask_sha256"],
            "area_px": census.pixel_count,
            **asdict(colours),
            **asdict(texture(levels, segment.mask)),
        }


def _card(plate: PlateSegments, segment: KeptSegment, palette: list[dict[str, Any]]) -> RegionCard:
    """The segment on white, for the preview sheet."""
    box = crop_box(CropBox(*(segment.row[name] for name in ("x_min", "y_min", "x_max", "y_max"))), 0.0, "box")
    cut = cut_out(plate.pixels, box, (255, 255, 255), segment.mask)
    colours = tuple((colour["srgb_hex"], colour["share"]) for colour in palette)
    return RegionCard(segment.segment_id, cut, colours)
