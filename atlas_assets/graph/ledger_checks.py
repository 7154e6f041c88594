"""Checks of the ledgers. A blocking check keeps wrong rows out of the catalogue; the others warn."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.graph.ledgers import ledger_key
from atlas_assets.roles.soundness import changed_source
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.output import VectorOutput
from atlas_resources.ledgers.parquet import read_ledger, read_sealed_rows
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.tables.ledgers import HISTOGRAMS, MODELS, PLATES, RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.soundness import unsound_boxes, unsound_masks, unsound_scores, unsound_vectors
from atlas_resources.tables.table import IS_CURRENT, Table

EMBEDDINGS, SEGMENTS, PROBES, DETECTIONS, KEPT = (
    INSTRUMENT_TABLES[role] for role in ("embedding", "segmentation", "probe", "detection", "pruning")
)

Finding = Callable[[Dataset], tuple[int, list[str]]]  # number of rows checked, and a line per wrong row


def _sealed_differ(table: Table, role: str) -> Finding:
    def find(dataset: Dataset) -> tuple[int, list[str]]:
        truth = table.conform(read_sealed_rows(dataset, role).with_columns(pl.lit(False).alias(IS_CURRENT.name)))
        ledger = read_ledger(dataset, table)
        if truth.drop(IS_CURRENT.name).equals(ledger.drop(IS_CURRENT.name)):
            return ledger.height, []
        found = f"{ledger.height} rows in the ledger, {truth.height} in the plates' sealed files, or other values"
        return ledger.height, [found]

    return find


def _current(dataset: Dataset, table: Table) -> pl.DataFrame:
    return read_ledger(dataset, table).filter(IS_CURRENT.name)


def _unsound(table: Table, unsound_rows: Callable[[pl.DataFrame], Iterable[str]]) -> Finding:
    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = _current(dataset, table)
        return rows.height, list(unsound_rows(rows))

    return find


def _declared_dims(registry: Registry) -> dict[str, int]:
    return {
        key: instrument.spec.output.dim
        for key, instrument in registry.instruments.items()
        if isinstance(instrument.spec.output, VectorOutput)
    }


def _unsound_boxes(dataset: Dataset) -> tuple[int, list[str]]:
    rows = _current(dataset, DETECTIONS)
    return rows.height, list(unsound_boxes(rows, read_ledger(dataset, PLATES)))


def _foreign_segments(dataset: Dataset) -> tuple[int, list[str]]:
    """Finds verdicts on masks that no raw set has. Older sets count: a plate may since be segmented again."""
    rows = _current(dataset, KEPT)
    raw = read_ledger(dataset, SEGMENTS).select("plate_id", "segment_id", "mask_sha256", segmenter="instrument")
    foreign = rows.join(raw, on=raw.columns, how="anti").select("plate_id", "segmenter", "segment_id", "mask_sha256")
    return rows.height, [
        f"{plate_id} {key} {segment_id}: no such mask, {sha256[:12]}..., in segments"
        for plate_id, key, segment_id, sha256 in foreign.iter_rows()
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


def _too_few_objectives(registry: Registry) -> Finding:
    """Agreement of two embeddings proves little if they were trained for the same objective: they err alike."""
    objective_of = {
        key: instrument.spec.objective
        for key, instrument in registry.instruments.items()
        if instrument.spec.role == "embedding"
    }

    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = _current(dataset, EMBEDDINGS)
        keys = [key for key in sorted(registry.active & objective_of.keys()) if (rows["instrument"] == key).any()]
        found = {objective for key in keys if (objective := objective_of[key]) is not None}
        if len(found) >= 2:
            return len(keys), []
        listed = ", ".join(f"{key} ({objective_of[key] or 'objective not declared'})" for key in keys) or "none"
        return len(keys), [
            f"expected active embeddings of at least 2 training objectives, found {len(found)}: {listed}. "
            f"Fix: name another in model_specs/roster.yaml; `atlas models list --set minimum` shows two that differ"
        ]

    return find


def _foreign_weights(registry: Registry) -> Finding:
    """Fingerprints cover the weights, so a current row can differ only in a ledger that was altered."""
    pinned = {key: instrument.identity.weights_sha256 for key, instrument in registry.instruments.items()}

    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = _current(dataset, RUNS)
        found = rows.select("instrument", "weights_sha256").unique().sort("instrument").iter_rows()
        return rows.height, [
            f"{key}: weights {sha256}, the spec pins {pinned.get(key)}"
            for key, sha256 in found
            if key not in pinned or sha256 != pinned[key]
        ]

    return find


def _changed_sources(dataset: Dataset) -> tuple[int, list[str]]:
    plates = dataset.plates()
    wrong: list[str] = []
    for plate in plates:
        try:
            wrong += changed_source(plate)
        except (OSError, ValueError, LookupError) as error:
            wrong.append(f"{plate.id}: {error}")
    return len(plates), wrong


def _broken_specs(dataset: Dataset) -> tuple[int, list[str]]:
    rows = read_ledger(dataset, MODELS)
    broken = rows.filter(pl.col("status") == "broken")
    return rows.height, [line for missing in broken["missing"] for line in missing]


def _unknown_licences(registry: Registry) -> Finding:
    def find(dataset: Dataset) -> tuple[int, list[str]]:
        active = [instrument.spec for instrument in registry.active_instruments]
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
    """Builds the checks of every ledger."""
    return [*_sealed_checks(), *_row_checks(registry), *_library_checks(registry)]


def _sealed_checks() -> list[Any]:
    equal = "The ledger holds exactly the rows of the plates' sealed files."
    return [
        _build_check(table, "equals_sealed_files", equal, _sealed_differ(table, role))
        for role, table in INSTRUMENT_TABLES.items()
    ]


def _row_checks(registry: Registry) -> list[Any]:
    """Rows that contradict themselves or their spec; a wrong one keeps the catalogue from being rebuilt."""
    checks = (
        (
            EMBEDDINGS,
            "vectors_are_sound",
            "Vectors are finite, of the declared length, and of the recorded norm.",
            _unsound(EMBEDDINGS, partial(unsound_vectors, dims=_declared_dims(registry))),
        ),
        (
            SEGMENTS,
            "masks_are_sound",
            "Masks have the recorded area, box and digest.",
            _unsound(SEGMENTS, unsound_masks),
        ),
        (KEPT, "masks_are_of_the_raw_set", "Each verdict is on a mask in `segments`.", _foreign_segments),
        (
            PROBES,
            "scores_sum_to_one",
            "Scores are finite; those of a softmax sum to 1.",
            _unsound(PROBES, unsound_scores),
        ),
        (
            DETECTIONS,
            "boxes_are_sound",
            "Boxes have edges in order, the same in pixels and as shares of the plate; scores are 0 to 1.",
            _unsound_boxes,
        ),
        (HISTOGRAMS, "counts_sum_to_pixels", "Each histogram sums to the plate's pixels.", _unsound_histograms),
        (
            RUNS,
            "weights_are_the_pinned_ones",
            "The weights' digests are those that the specs pin.",
            _foreign_weights(registry),
        ),
    )
    return [_build_check(*check) for check in checks]


def _library_checks(registry: Registry) -> list[Any]:
    """What a person should look at; warnings only."""
    checks = (
        (
            EMBEDDINGS,
            "two_embedding_families",
            "Active embeddings were trained for at least two objectives, so that they can disagree.",
            _too_few_objectives(registry),
        ),
        (
            PLATES,
            "sources_are_unchanged",
            "Each source is the registered file; one whose file changed since is hashed again.",
            _changed_sources,
        ),
        (MODELS, "specs_are_readable", "No spec is broken.", _broken_specs),
        (MODELS, "licences_are_known", "Every active instrument's licence is known.", _unknown_licences(registry)),
    )
    return [_build_check(*check, is_blocking=False) for check in checks]
