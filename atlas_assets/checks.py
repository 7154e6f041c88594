"""Checks on what the ledgers hold, blocking where a wrong row would reach the catalogue.

What a row means is in `tables`.
"""

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.ledgers import ledger_key
from atlas_resources.dataset import Dataset
from atlas_resources.ledger import read_ledger, read_sealed_rows
from atlas_resources.registry import Registry
from atlas_resources.resources import DatasetResource
from atlas_resources.specs import VectorOutput
from atlas_resources.tables import HISTOGRAMS, INSTRUMENT_TABLES, IS_CURRENT, MODELS, Table

EMBEDDINGS, SEGMENTS, PROBES = (INSTRUMENT_TABLES[role] for role in ("embedding", "segmentation", "probe"))
NORM_TOLERANCE = 1e-4  # relative; vectors are float32, their length is summed in float64
SUM_TOLERANCE = 1e-4  # of 1000 float32 probabilities

Finding = Callable[[Dataset], tuple[int, list[str]]]  # rows looked at, and a line per wrong one


def _sealed_differ(table: Table, role: str) -> Finding:
    def find(dataset: Dataset) -> tuple[int, list[str]]:
        truth = table.conform(read_sealed_rows(dataset, role).with_columns(pl.lit(False).alias(IS_CURRENT.name)))
        ledger = read_ledger(dataset, table)
        if truth.drop(IS_CURRENT.name).equals(ledger.drop(IS_CURRENT.name)):
            return ledger.height, []
        found = f"{ledger.height} rows in the ledger, {truth.height} in the plates' sealed files, or other values"
        return ledger.height, [found]

    return find


def _unsound_vectors(registry: Registry) -> Finding:
    dims = {spec.key: spec.output.dim for spec in registry.admitted if isinstance(spec.output, VectorOutput)}

    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = read_ledger(dataset, EMBEDDINGS).filter(IS_CURRENT.name)
        wrong = []
        for row in rows.select("plate_id", "instrument", "vector", "l2_norm").iter_rows(named=True):
            name, declared = f"{row['plate_id']} {row['instrument']}", dims.get(row["instrument"])
            vector = pl.Series(row["vector"], dtype=pl.Float64)
            length = float((vector * vector).sum()) ** 0.5
            if len(vector) != declared:
                wrong.append(f"{name}: {len(vector)} values, declared {declared}")
            elif not vector.is_finite().all() or not length > 0:
                wrong.append(f"{name}: not finite, or of length 0")
            elif abs(length - row["l2_norm"]) > NORM_TOLERANCE * length:
                wrong.append(f"{name}: l2_norm {row['l2_norm']}, found {length}")
        return rows.height, wrong

    return find


def _unsound_masks(dataset: Dataset) -> tuple[int, list[str]]:
    """Area by pycocotools from the run lengths, and their digest: no mask is unpacked."""
    from hashlib import sha256

    from pycocotools import mask as coco

    rows = read_ledger(dataset, SEGMENTS).filter(IS_CURRENT.name)
    wrong = []
    for row in rows.iter_rows(named=True):
        size = [row["height_px"], row["width_px"]]
        area_px = int(coco.area({"size": size, "counts": row["mask_rle"].encode()}))
        digest = sha256(f"{size[0]}x{size[1]}:{row['mask_rle']}".encode()).hexdigest()
        if (area_px, digest) != (row["area_px"], row["mask_sha256"]):
            wrong.append(
                f"{row['plate_id']} {row['instrument']} {row['segment_id']}: area {area_px}, recorded {row['area_px']}"
            )
    return rows.height, wrong


def _unsound_scores(dataset: Dataset) -> tuple[int, list[str]]:
    rows = read_ledger(dataset, PROBES).filter(IS_CURRENT.name)
    sums = rows.group_by("plate_id", "instrument").agg(pl.col("score").cast(pl.Float64).sum())
    wrong = sums.filter((pl.col("score") - 1).abs().fill_nan(1) > SUM_TOLERANCE)
    return rows.height, [
        f"{plate_id} {key}: scores sum to {total}" for plate_id, key, total in wrong.sort("plate_id").iter_rows()
    ]


def _unsound_histograms(dataset: Dataset) -> tuple[int, list[str]]:
    rows = read_ledger(dataset, HISTOGRAMS)
    wrong = []
    for name in ("red", "green", "blue", "luminance", "lab"):
        bad = rows.filter(pl.col(name).list.sum() != pl.col("pixel_count"))
        wrong += [
            f"{plate_id}: {name} does not sum to {count}"
            for plate_id, count in bad.select("plate_id", "pixel_count").iter_rows()
        ]
    return rows.height, wrong


def _broken_specs(dataset: Dataset) -> tuple[int, list[str]]:
    rows = read_ledger(dataset, MODELS)
    broken = rows.filter(pl.col("status") == "broken")
    return rows.height, [line for missing in broken["missing"] for line in missing]


def _unknown_licences(registry: Registry) -> Finding:
    def find(dataset: Dataset) -> tuple[int, list[str]]:
        active = [spec for spec in registry.admitted if spec.key in registry.active]
        unknown = [spec.key for spec in active if spec.licence is None or spec.licence.spdx == "unknown"]
        return len(active), [
            f"{key}: licence unknown; its rows may not be exported for commercial use" for key in unknown
        ]

    return find


def _build_check(table: Table, name: str, description: str, find: Finding, *, is_blocking: bool = True) -> Any:
    severity = dg.AssetCheckSeverity.ERROR if is_blocking else dg.AssetCheckSeverity.WARN

    @dg.asset_check(asset=ledger_key(table), name=name, description=description, blocking=is_blocking)
    def check(dataset: DatasetResource) -> dg.AssetCheckResult:
        looked_at, wrong = find(dataset.open())
        return dg.AssetCheckResult(
            passed=not wrong,
            severity=severity,
            metadata={
                "looked_at": looked_at,
                "wrong": len(wrong),
                "first": dg.MetadataValue.md("\n".join(f"- {line}" for line in wrong[:20]) or "none"),
            },
        )

    return check


def build_checks(registry: Registry) -> list[Any]:
    """The checks of every ledger."""
    equal = "The ledger holds exactly the rows of the plates' sealed files."
    truths = [
        _build_check(table, "equals_sealed_files", equal, _sealed_differ(table, role))
        for role, table in INSTRUMENT_TABLES.items()
    ]
    return [
        *truths,
        _build_check(
            EMBEDDINGS,
            "vectors_are_sound",
            "Declared length, finite, of the recorded norm.",
            _unsound_vectors(registry),
        ),
        _build_check(SEGMENTS, "masks_are_sound", "Run lengths have the recorded area and digest.", _unsound_masks),
        _build_check(PROBES, "scores_sum_to_one", "The scores of a plate's labels sum to 1.", _unsound_scores),
        _build_check(
            HISTOGRAMS, "counts_sum_to_pixels", "Each histogram sums to the plate's pixels.", _unsound_histograms
        ),
        _build_check(MODELS, "specs_are_readable", "No spec is broken.", _broken_specs, is_blocking=False),
        _build_check(
            MODELS,
            "licences_are_known",
            "Every active instrument's licence is known.",
            _unknown_licences(registry),
            is_blocking=False,
        ),
    ]
