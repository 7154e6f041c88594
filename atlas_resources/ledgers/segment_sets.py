"""The ledger of segment sets: how many segments a plate has, what they cover, and how they fit its foreground."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from atlas_resources.ledgers.growth.growing import RowsOfPlates, grow, read_made_of
from atlas_resources.ledgers.growth.made_of import MadeOf, combined
from atlas_resources.ledgers.parquet import keep, ledger_path, runs_path
from atlas_resources.measures.masks import run_lengths
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import RUNS, SEGMENT_SETS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT

SEGMENTS = INSTRUMENT_TABLES["segmentation"]
MOST_SEGMENTS = 600
"""A set with more has exploded: about twice what SAM gives of a photograph at 32 x 32 points."""
SHATTERED_FROM = 40
"""This many segments on the foreground, none of them `SHATTERED_SHARE` of it, are an engraving in splinters."""
SHATTERED_SHARE = 0.1
LEAST_COVERED = 0.5
"""A set that covers less of the foreground has missed it."""
FOREGROUND_CLASSES = ("printed", "salient")
"""Classes whose masks together are a plate's foreground. Other sets are compared with those of their instruments."""


def set_warnings(segment_count: int) -> list[str]:
    """What is unusual about a set's number of segments, in words; empty for an ordinary set."""
    if segment_count == 0:
        return ["empty: no segments. Look at the picture, then at the instrument's thresholds."]
    if segment_count > MOST_SEGMENTS:
        return [f"exploded: {segment_count} segments, more than {MOST_SEGMENTS}. Prune the set before it is read."]
    return []


def wanted_of_sets(dataset: Dataset) -> MadeOf:
    """What `ledger/segment_sets` follows from: what the runs of segmentation are made of."""
    return combined([read_made_of(dataset, runs_path(dataset, "segmentation"), RUNS)])


def build_segment_sets(dataset: Dataset) -> pl.LazyFrame:
    """`ledger/segment_sets`: compares every current set with every foreground of its plate that another run sealed.

    Compares the sets of plates whose runs changed. Requires `ledger/segments`.
    """

    runs_of = RowsOfPlates.of_ledger(dataset, runs_path(dataset, "segmentation"), RUNS)
    segments_of = RowsOfPlates.of_ledger(dataset, ledger_path(dataset, SEGMENTS), SEGMENTS)

    def make(plate_ids: list[str], old: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
        runs = runs_of.of(plate_ids).filter(IS_CURRENT.name)
        current = runs.select("plate_id", "instrument", "run_id").sort("plate_id", "instrument")
        segments = segments_of.of(plate_ids).filter(IS_CURRENT.name)
        return compare_sets(current.iter_rows(), segments, old), ()

    keep(dataset, SEGMENTS.name)
    return grow(dataset, SEGMENT_SETS, wanted_of_sets(dataset), make)


def compare_sets(current: Iterable[tuple[str, str, str]], segments: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Rows of `segment_sets`: every set compared with every foreground of its plate that another run sealed.

    Args:
        current: plate_id, instrument and run_id of each set.
        segments: the rows of `segments` of these sets.
        known: rows of `segment_sets` that need not be computed again.
    """
    by_run = segments.partition_by("run_id", "plate_id", as_dict=True)
    of_plate: dict[str, list[tuple[str, pl.DataFrame]]] = {}
    for (other_id, other_plate), masks in by_run.items():
        of_plate.setdefault(other_plate, []).append((other_id, masks))
    known_rows = {(row["plate_id"], row["run_id"], row["foreground_run_id"]): row for row in known.to_dicts()}
    rows = []
    for plate_id, instrument, run_id in current:
        masks = by_run.get((run_id, plate_id), segments.clear())
        grounds = [
            (ground["instrument"][0], other_id, ground.filter(pl.col("class_name").is_in(FOREGROUND_CLASSES)))
            for other_id, ground in of_plate.get(plate_id, ())
            if other_id != run_id
        ]
        for key, other_id, ground in [entry for entry in grounds if entry[2].height] or [(None, None, None)]:
            row = {"plate_id": plate_id, "instrument": instrument, "run_id": run_id}
            compared = known_rows.get((plate_id, run_id, other_id)) or row | _measured(masks) | _compared(masks, ground)
            rows.append({**compared, "foreground_instrument": key, "foreground_run_id": other_id})
    return SEGMENT_SETS.frame(rows)


def _measured(masks: pl.DataFrame) -> dict[str, Any]:
    areas = masks["area_ratio"]
    covered = 0.0
    if masks.height:
        size = masks["height_px"][0], masks["width_px"][0]
        covered = run_lengths.area_px(run_lengths.union(masks["mask_rle"].to_list(), *size), *size) / (
            size[0] * size[1]
        )
    return {
        "segment_count": masks.height,
        "largest_area_ratio": areas.max() or 0.0,
        "median_area_ratio": areas.median() or 0.0,
        "covered_ratio": covered,
    }


def _compared(masks: pl.DataFrame, ground: pl.DataFrame | None) -> dict[str, Any]:
    """How much of a plate's foreground is covered by the masks that have at least half of their pixels on it."""
    if ground is None:
        return {}
    size = ground["height_px"][0], ground["width_px"][0]
    foreground = run_lengths.union(ground["mask_rle"].to_list(), *size)
    foreground_px = run_lengths.area_px(foreground, *size)
    common = run_lengths.common_px(masks["mask_rle"].to_list(), foreground, *size)
    is_on_it = 2 * common >= masks["area_px"].to_numpy()
    on_it = masks.filter(pl.Series(is_on_it, dtype=pl.Boolean))["mask_rle"].to_list()
    covered = run_lengths.common_px([run_lengths.union(on_it, *size)], foreground, *size)[0] if on_it else 0
    return {
        "foreground_ratio": foreground_px / (size[0] * size[1]),
        "foreground_segment_count": len(on_it),
        "foreground_covered_ratio": float(covered / foreground_px),
        "largest_foreground_share": float(common[is_on_it].max() / foreground_px) if on_it else 0.0,
    }
