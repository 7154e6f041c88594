"""Pruning: a verdict on every segment of a raw set, by the declared rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from atlas_assets.roles.declared import sealed_rows, source_pixels
from atlas_assets.roles.regions.plate_segments import RegionWork, declared_region, require_source_size
from atlas_assets.ui.masks import mask_overlay
from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.paper import split_paper
from atlas_resources.measures.masks import run_lengths
from atlas_resources.measures.masks.colours import paper_ratio
from atlas_resources.measures.masks.pruning import Candidate, PruningRules, prune
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult
from atlas_resources.tables.result_columns import KEPT_SEGMENT
from atlas_resources.tables.table import frame_of

PREVIEW_PX = 640  # masks are subsampled to about this longest side before the preview is drawn


@dataclass(frozen=True)
class RawSet:
    """A plate's pixels, uint8 sRGB [H, W, 3], and its segments as the segmenter sealed them."""

    pixels: np.ndarray
    rows: pl.DataFrame


class PruningWork(RegionWork):
    """Gives each segment a verdict. The raw set is read and never written."""

    model: PruningRules

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> RawSet:
        """The raw set in order of segment id, and the plate's pixels."""
        rows = sealed_rows(self.spec, plate, upstream).sort("segment_id")
        return RawSet(np.asarray(source_pixels(plate, stopwatch)), rows)

    def measure(self, batch: list[RawSet]) -> list[Measurement]:
        """One row per segment, kept or not."""
        return [self._measure_one(raw) for raw in batch]

    def _measure_one(self, raw: RawSet) -> Measurement:
        rows = raw.rows.to_dicts()
        for row in rows:
            require_source_size(self.spec.key, row, raw.pixels)
        ratios = _paper_ratios(raw.pixels, rows) if self.model.max_paper_ratio is not None else [None] * len(rows)
        candidates = [_candidate(row, ratio) for row, ratio in zip(rows, ratios, strict=True)]
        overlaps = run_lengths.overlaps([row["mask_rle"] for row in rows], *raw.pixels.shape[:2])
        verdicts = prune(candidates, overlaps, self.model)
        found = [
            {
                **row,
                "segmenter": declared_region(self.spec).segmenter,
                "paper_ratio": ratio,
                "rank": verdict.rank,
                "reason": verdict.reason,
                "duplicate_of": verdict.duplicate_of,
                "mask_rle": row["mask_rle"] if verdict.rank else None,
            }
            for row, ratio, verdict in zip(rows, ratios, verdicts, strict=True)
        ]
        kept = sorted((row for row in found if row["rank"]), key=lambda row: row["rank"])
        metrics = {
            "kept_count": len(kept),
            "dropped_count": len(found) - len(kept),
            "kept_area_ratio": float(sum(row["area_ratio"] for row in kept)),
            **_reasons(found),
        }
        return Measurement(frame_of(KEPT_SEGMENT, found), metrics, _overlay(raw.pixels, kept))


def _candidate(row: Mapping[str, Any], paper_ratio: float | None) -> Any:
    longer_side = max(row["x_max"] - row["x_min"], row["y_max"] - row["y_min"])
    return Candidate(
        segment_id=row["segment_id"],
        area_ratio=row["area_ratio"],
        touches_border=row["touches_border"],
        thickness_ratio=row["area_px"] / longer_side / min(row["height_px"], row["width_px"]),
        class_name=row["class_name"],
        predicted_iou=row["predicted_iou"],
        stability_score=row["stability_score"],
        paper_ratio=paper_ratio,
    )


def _mask(row: Mapping[str, Any]) -> np.ndarray:
    return run_lengths.decode(row["mask_rle"], row["height_px"], row["width_px"])


def _paper_ratios(pixels: np.ndarray, rows: list[dict[str, Any]]) -> list[float]:
    """Share of each segment's pixels that are as light as the plate's paper."""
    paper = split_paper(count_colours(pixels))
    return [paper_ratio(count_colours(pixels, _mask(row)), paper) for row in rows]


def _reasons(rows: list[dict[str, Any]]) -> dict[str, int]:
    """The number of segments that each rule dropped."""
    rules = [row["reason"].split(":")[0] for row in rows if row["reason"]]
    return {f"dropped_by_{rule}": rules.count(rule) for rule in sorted(set(rules))}


def _overlay(pixels: np.ndarray, kept: list[dict[str, Any]]) -> bytes:
    """The plate with its kept segments, numbered as in their ids."""
    step = max(1, max(pixels.shape[:2]) // PREVIEW_PX)
    largest_first = sorted(kept, key=lambda row: -row["area_px"])
    masks = (_mask(row)[::step, ::step] for row in largest_first)
    numbers = [int(row["segment_id"].removeprefix("mask-")) for row in largest_first]
    return mask_overlay(Image.fromarray(pixels), masks, numbers=numbers)
